import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { IamRecords } from '#src/metadata/iam-records.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { type Session, SessionTokens } from './session-tokens.ts'

let now = 1_000_000

function openTokens() {
  const world = { ...realWorld, now: () => now }
  const store = new MemoryStore({ world })
  const tokens = new SessionTokens({ store, world, records: new IamRecords() })
  const open = (token: string, id: string) => store.snapshot((snapshot) => tokens.open(snapshot, token, id))
  return { tokens, open }
}

const session = (): Session => ({
  accessKeyId: 'MSIAKEY',
  secret: 'secret',
  accountId: 'ann',
  role: { name: 'r', id: 'AROA', session: 's' },
  issued: now,
  expires: now + 900_000,
})

const code = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return 'opened'
  } catch (error) {
    assert.ok(error instanceof Fault, String(error))
    return error.code
  }
}

test('I12: a token opens what was sealed, for the key that it was given with, until its time', async () => {
  const { tokens, open } = openTokens()
  const sealed = session()
  const token = await tokens.seal(sealed)
  assert.deepEqual(await open(token, 'MSIAKEY'), sealed)
  assert.ok(!Buffer.from(token, 'base64').toString('latin1').includes('secret'))
  assert.equal(await code(open(token, 'MSIAOTHER')), 'InvalidToken')
  now = sealed.expires - 1
  assert.equal(await code(open(token, 'MSIAKEY')), 'opened')
  now = sealed.expires
  assert.equal(await code(open(token, 'MSIAKEY')), 'ExpiredToken')
})

test('I12: no changed bit, no other store and no other writing of it opens anything', async () => {
  const { tokens, open } = openTokens()
  const token = await tokens.seal(session())
  const bytes = Buffer.from(token, 'base64')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(await code(open(changed.toString('base64'), 'MSIAKEY')), 'InvalidToken', `bit ${bit}`)
  }
  const others = [
    '',
    'x',
    token.slice(0, -4),
    `${token}AAAA`,
    ` ${token}`,
    token.replaceAll('=', ''),
    'A'.repeat(10_000),
  ]
  for (const each of others.filter((other) => other !== token)) {
    assert.equal(await code(open(each, 'MSIAKEY')), 'InvalidToken', each.slice(0, 20))
  }
  const other = openTokens()
  await other.tokens.seal(session())
  assert.equal(await code(other.open(token, 'MSIAKEY')), 'InvalidToken')
})

test('what would be too long for a header is refused', async () => {
  const { tokens } = openTokens()
  assert.equal(await code(tokens.seal({ ...session(), policy: 'x'.repeat(9_000) })), 'PackedPolicyTooLarge')
})

test('of many who seal at first at once, each token opens', async () => {
  const { tokens, open } = openTokens()
  const all = await Promise.all(Array.from({ length: 8 }, () => tokens.seal(session())))
  for (const token of all) assert.equal(await code(open(token, 'MSIAKEY')), 'opened')
})
