import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** Which addresses messages may be sent to: what others have put on the internet, one's own networks too, or any. */
export type Reach = 'public' | 'private' | 'any'

const networks = (kind: 'ipv4' | 'ipv6', all: readonly (readonly [string, number])[]): BlockList => {
  const list = new BlockList()
  for (const [network, bits] of all) list.addSubnet(network, bits, kind)
  return list
}

/** https://www.iana.org/assignments/iana-ipv4-special-registry and its sister of IPv6. */
const own = {
  ipv4: networks('ipv4', [
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
  ]),
  ipv6: networks('ipv6', [['fc00::', 7]]),
}

/** This machine, its neighbours on the wire (cloud providers tell machines' secrets there), groups, and what is no address. */
const never = {
  ipv4: networks('ipv4', [
    ['0.0.0.0', 8],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 3],
  ]),
  ipv6: networks('ipv6', [
    ['::', 128],
    ['::1', 128],
    ['64:ff9b:1::', 48],
    ['100::', 64],
    ['2001:db8::', 32],
    ['fe80::', 10],
    ['ff00::', 8],
  ]),
}

/** The IPv4 address that an IPv6 one carries: mapped, compatible, of a translator (64:ff9b::/96) or of 6to4 (2002::/16). */
function carried(address: string): string | undefined {
  const groups = expanded(address)
  if (groups === undefined) return undefined
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups
  const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join('.')
  const isEmpty = a === 0 && b === 0 && c === 0 && d === 0 && e === 0
  if (isEmpty && (f === 0xffff || (f === 0 && g !== 0))) return dotted(g, h)
  if (a === 0x64 && b === 0xff9b && c === 0 && d === 0 && e === 0 && f === 0) return dotted(g, h)
  return a === 0x2002 ? dotted(b, c) : undefined
}

/** The eight groups of an IPv6 address, as the URL parser writes it. */
function expanded(address: string): readonly number[] | undefined {
  const url = `http://[${address.split('%', 1)[0]}]`
  if (!URL.canParse(url)) return undefined
  const [head = '', tail] = new URL(url).hostname.slice(1, -1).split('::')
  const numbers = (text: string): number[] =>
    text
      .split(':')
      .filter(Boolean)
      .map((each) => Number.parseInt(each, 16))
  const first = numbers(head)
  if (tail === undefined) return first
  const last = numbers(tail)
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
}

/**
 * H4  nothing is sent to an address beyond the reach that was configured, however a name or a number leads to it.
 */
export function isReachable(address: string, reach: Reach): boolean {
  if (reach === 'any') return isIPv4(address) || isIPv6(address)
  const inner = isIPv6(address) ? carried(address) : undefined
  if (inner !== undefined) return isReachable(inner, reach)
  const kind = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined
  if (kind === undefined || never[kind].check(address, kind)) return false
  return reach === 'private' || !own[kind].check(address, kind)
}
