import type { Bucket } from './bucket.ts'

/** A host name as certificates and DNS have it: at least two labels, in lower case. */
const hostName = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$/

export const isHostName = (text: string): boolean => hostName.test(text) && !/^[\d.]+$/.test(text)

/** What browsers may keep for an hour where nobody said otherwise, as Tigris has it. */
const kept =
  /^(text\/(css|ecmascript|javascript)|application\/(javascript|pdf|postscript)|(font|image|video|audio)\/[^;]*)(;|$)/i

/** Of what everybody may read. */
export function cacheControlOf(
  { cacheControl }: Pick<Bucket, 'cacheControl'>,
  contentType: string | undefined,
): string | undefined {
  if (cacheControl !== undefined) return cacheControl
  return contentType !== undefined && kept.test(contentType) ? 'public, max-age=3600' : undefined
}
