import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { isReachable, type Reach } from './addresses.ts'

const cases: readonly (readonly [string, Reach | 'no'])[] = [
  ['8.8.8.8', 'public'],
  ['1.1.1.1', 'public'],
  ['172.15.255.255', 'public'],
  ['172.32.0.0', 'public'],
  ['2606:4700::1111', 'public'],
  ['64:ff9b::808:808', 'public'],
  ['10.0.0.1', 'private'],
  ['10.255.255.255', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['fd00::1', 'private'],
  ['fc00::1', 'private'],
  ['::ffff:10.0.0.1', 'private'],
  ['::ffff:a00:1', 'private'],
  ['64:ff9b::a00:1', 'private'],
  ['2002:a00:1::1', 'private'],
  ['127.0.0.1', 'any'],
  ['127.255.255.255', 'any'],
  ['0.0.0.0', 'any'],
  ['169.254.169.254', 'any'],
  ['224.0.0.1', 'any'],
  ['255.255.255.255', 'any'],
  ['192.0.2.1', 'any'],
  ['::', 'any'],
  ['::1', 'any'],
  ['0:0:0:0:0:0:0:1', 'any'],
  ['fe80::1', 'any'],
  ['fe80::1%eth0', 'any'],
  ['ff02::1', 'any'],
  ['::ffff:127.0.0.1', 'any'],
  ['::ffff:7f00:1', 'any'],
  ['::127.0.0.1', 'any'],
  ['64:ff9b::7f00:1', 'any'],
  ['2002:7f00:1::', 'any'],
  ['localhost', 'no'],
  ['', 'no'],
  ['8.8.8', 'no'],
  ['256.1.1.1', 'no'],
]

test('H4: each address is within reach exactly from the setting on that names it', () => {
  const order = ['public', 'private', 'any'] as const
  for (const [address, from] of cases) {
    const expected = order.map((reach) => from !== 'no' && order.indexOf(reach) >= order.indexOf(from))
    assert.deepEqual(
      order.map((reach) => isReachable(address, reach)),
      expected,
      address,
    )
  }
})

test('H4: an IPv4 address is no more within reach when an IPv6 one carries it', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.constantFrom('public', 'private'), (address, reach) => {
      const groups = address.split('.').map(Number)
      const [a = 0, b = 0, c = 0, d = 0] = groups
      const pair = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
      for (const carrier of [`::ffff:${address}`, `::ffff:${pair}`, `64:ff9b::${pair}`, `2002:${pair}::1`]) {
        assert.equal(isIP(carrier), 6)
        assert.equal(isReachable(carrier, reach), isReachable(address, reach), carrier)
      }
    }),
  )
})
