import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { TrustedProxies } from './trusted-proxies.ts'

const clientOf = (ranges: readonly string[], remoteAddress: string, headers: IncomingHttpHeaders) =>
  new TrustedProxies(ranges).clientOf({ socket: { remoteAddress } as Socket, headers })

test('nobody is believed who is not named', () => {
  const headers = { 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https' }
  for (const ranges of [[], ['10.0.0.0/8']]) {
    assert.deepEqual(clientOf(ranges, '192.0.2.1', headers), { remoteAddress: '192.0.2.1', isSecure: false })
  }
})

test('a proxy is believed what it added, and not what was said to it', () => {
  const cases: readonly (readonly [string | undefined, string])[] = [
    ['198.51.100.7', '198.51.100.7'],
    ['203.0.113.9, 198.51.100.7', '198.51.100.7'],
    // Two of them, one behind the other.
    ['203.0.113.9, 198.51.100.7, 10.1.2.3', '198.51.100.7'],
    // Its own network asks through it.
    ['10.7.7.7, 10.1.2.3', '10.7.7.7'],
    ['2001:db8::5', '2001:db8::5'],
    ['[2001:db8::5]', '2001:db8::5'],
    ['203.0.113.9, unknown', '10.0.0.1'],
    ['203.0.113.9, not an address, 10.1.2.3', '10.1.2.3'],
    [undefined, '10.0.0.1'],
    ['', '10.0.0.1'],
  ]
  for (const [told, remoteAddress] of cases) {
    const headers = told === undefined ? {} : { 'x-forwarded-for': told }
    assert.deepEqual(clientOf(['10.0.0.0/8'], '10.0.0.1', headers), { remoteAddress, isSecure: false })
  }
})

test('whether the client spoke TLS is told by the nearest proxy', () => {
  const secure = (told: string) => clientOf(['10.0.0.1'], '10.0.0.1', { 'x-forwarded-proto': told }).isSecure
  assert.deepEqual(['https', 'http', 'https, http', 'http, https', ''].map(secure), [true, false, false, true, false])
})

test('ranges are of IPv4, also where the socket is of IPv6, and of IPv6', () => {
  const headers = { 'x-forwarded-for': '198.51.100.7' }
  const found = (ranges: readonly string[], near: string) => clientOf(ranges, near, headers).remoteAddress
  assert.equal(found(['10.0.0.0/8'], '::ffff:10.0.0.1'), '198.51.100.7')
  assert.equal(found(['fd00::/8', '192.0.2.4'], 'fdaa::3'), '198.51.100.7')
  assert.equal(found(['fd00::/8', '192.0.2.4'], '192.0.2.4'), '198.51.100.7')
  assert.equal(found(['fd00::/8', '192.0.2.4'], '192.0.2.5'), '192.0.2.5')
})
