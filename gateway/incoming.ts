import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Moment } from '#src/world.ts'

/** A request as it came from the socket. */
export interface Incoming {
  readonly id: string
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  /** The bytes after the transfer coding. At most one reader. */
  readonly stream: Readable
  readonly remoteAddress: string
  readonly isSecure: boolean
  /** The region that passed it on; absent: it came from the client. */
  readonly forwardedBy?: string
  /** When it began, where what it reads was asked for then. */
  readonly since?: Moment
}
