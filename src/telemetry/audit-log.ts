import { pino } from 'pino'

/** What somebody did, or was not let do. */
export interface Deed {
  /** As the client was told it. */
  readonly request: string
  readonly operation: string
  readonly status: number
  /** S3's code of what went wrong; absent: nothing did. */
  readonly error: string | undefined
  /** As it came, without the query, which may hold a signature. */
  readonly path: string
  readonly bucket: string | undefined
  readonly key: string | undefined
  readonly versionId: string | undefined
  /** Who: an account, with the key that was used, and who acted in it; absent: anonymous, or nobody that is known. */
  readonly account: string | undefined
  readonly accessKey: string | undefined
  readonly principal: string | undefined
  readonly remoteAddress: string | undefined
  readonly userAgent: string | undefined
  /** The region that passed the request on. */
  readonly forwardedBy: string | undefined
}

/** Told of each deed once it was answered. */
export type AuditLog = (deed: Deed) => void

/**
 * JSON lines at the end of a file, each written whole, by however many processes, as soon as the request was answered. Not synced: a
 * power cut may take the last seconds. `failed`: a line could not be written.
 */
export function openAuditLog(path: string, region: string, failed: (error: unknown) => void): AuditLog {
  const file = pino.destination({ dest: path, append: true, mode: 0o600, sync: true })
  file.on('error', failed)
  return (deed) => {
    file.write(`${JSON.stringify({ time: new Date().toISOString(), region, ...deed })}\n`)
  }
}
