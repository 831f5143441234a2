import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { TLSSocket } from 'node:tls'

/** From where a request came, and whether the way there was encrypted. */
export interface Client {
  readonly remoteAddress: string
  readonly isSecure: boolean
}

const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** What several proxies said, the nearest last. */
function said(header: string | readonly string[] | undefined): readonly string[] {
  const text = typeof header === 'string' ? header : (header?.join(',') ?? '')
  return text
    .split(',')
    .map((each) => each.trim().replace(/^\[(.*)\]$/, '$1'))
    .filter((each) => each !== '')
}

/**
 * Proxies that are believed who they speak for. Anybody may send X-Forwarded-For: so only what they added themselves counts, which is read
 * from its end, up to the first address that is none of theirs.
 * https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
 */
export class TrustedProxies {
  readonly #ranges = new BlockList()
  readonly #isEmpty: boolean

  /** Addresses, or ranges of them as `10.0.0.0/8`. */
  constructor(ranges: readonly string[]) {
    this.#isEmpty = ranges.length === 0
    for (const range of ranges) {
      const [address = '', bits] = range.split('/')
      if (bits === undefined) this.#ranges.addAddress(address, family(address))
      else this.#ranges.addSubnet(address, Number(bits), family(address))
    }
  }

  clientOf({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): Client {
    const near = { remoteAddress: socket.remoteAddress ?? '', isSecure: socket instanceof TLSSocket }
    if (this.#isEmpty || !this.#has(near.remoteAddress)) return near
    let { remoteAddress } = near
    for (const address of said(headers['x-forwarded-for']).toReversed()) {
      // What is no address was not written by a proxy that is configured well: no further.
      if (isIP(address) === 0) break
      remoteAddress = address
      if (!this.#has(address)) break
    }
    return { remoteAddress, isSecure: near.isSecure || said(headers['x-forwarded-proto']).at(-1) === 'https' }
  }

  #has(address: string): boolean {
    return isIP(address) !== 0 && this.#ranges.check(address, family(address))
  }
}
