/** As headers and most documents carry it. */
export const quoteEtag = (etag: string): string => `"${etag}"`

/** Clients send ETags of parts with and without quotes; some XML libraries leave `&quot;` behind. */
export const unquoteEtag = (text: string): string => text.trim().replace(/^(?:"|&quot;)|(?:"|&quot;)$/g, '')

export interface EntityTag {
  /** Without quotes, or `*`. */
  readonly value: string
  readonly isWeak: boolean
}

/**
 * The list of If-Match and If-None-Match (RFC 9110 §8.8.3). Tags may lack their quotes, as clients send them and S3 takes
 * them; a comma inside quotes belongs to the tag.
 */
export function parseEntityTags(text: string): readonly EntityTag[] {
  const tags: EntityTag[] = []
  for (const match of text.matchAll(/\s*(W\/)?(?:"([^"]*)"|([^",\s][^",]*))\s*(?:,|$)/gy)) {
    const value = match[2] ?? match[3]?.trim()
    if (value !== undefined && value !== '') tags.push({ value, isWeak: match[1] !== undefined })
  }
  return tags
}
