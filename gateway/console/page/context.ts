import type { Client } from './client.ts'

/** Who signed in, and where, as the store tells it. */
export interface Session {
  readonly version: string
  readonly accessKeyId: string
  readonly account: { readonly id: string; readonly name: string; readonly email: string }
  readonly user?: string
  readonly isAdministrator: boolean
  /** Absent: there is one region. */
  readonly region?: string
  readonly regions: readonly { readonly region: string; readonly geography: string }[]
}

/** What a page is given. */
export interface Context {
  readonly client: Client
  readonly session: Session
  /** Aborted when somebody goes to another page. */
  readonly signal: AbortSignal
  /** Shows the page anew. */
  refresh(): void
}

/** Gives the title of the document, and what stands in it. */
export type View = (
  context: Context,
  ...words: readonly string[]
) => Promise<{ readonly title: string; readonly body: readonly Node[] }>

export const bucketHref = (bucket: string, prefix = ''): string =>
  `#/buckets/${encodeURIComponent(bucket)}${prefix === '' ? '' : `/${encodeURIComponent(prefix)}`}`

export const objectHref = (bucket: string, key: string, versionId = ''): string =>
  `#/object/${encodeURIComponent(bucket)}/${encodeURIComponent(key)}${versionId === '' ? '' : `/${encodeURIComponent(versionId)}`}`

/** Does something again and again while its page is shown; the first time at once. */
export async function repeat(signal: AbortSignal, milliseconds: number, what: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await what()
    await new Promise((resolve) => setTimeout(resolve, milliseconds))
  }
}
