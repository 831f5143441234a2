import { lookup as resolve } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { isReachable, type Reach } from './addresses.ts'

/** What a host that lies beyond the reach is refused with. */
export type Beyond = (host: string) => Error

/** The name is resolved once, and the address that was judged is the one that is connected to: a name cannot change between. */
export function judgedLookup(reach: Reach, beyond: Beyond): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error, '')
      const [first] = addresses
      if (first === undefined || !addresses.every(({ address }) => isReachable(address, reach))) {
        return done(beyond(hostname), '')
      }
      if (options.all === true) return done(null, addresses)
      return done(null, first.address, first.family)
    })
  }
}

/** Numbers are not looked up, and so are judged before. */
export function checkNumber({ hostname }: URL, reach: Reach, beyond: Beyond): void {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && !isReachable(host, reach)) throw beyond(host)
}
