import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { Fault, type FaultCode } from '#src/errors.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { cannedAcl } from '#src/model/acl.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld, type World } from '#src/world.ts'
import { NamespaceBuckets } from './buckets.ts'
import { NamespaceIdentity } from './identity.ts'

let identity: NamespaceIdentity
let buckets: NamespaceBuckets

beforeEach(() => {
  const store = new MemoryStore({ world: realWorld })
  const namespace = new Namespace()
  identity = new NamespaceIdentity({ store, world: realWorld, namespace })
  buckets = new NamespaceBuckets({ store, world: realWorld, namespace, isEmpty: async () => true })
})

const fails = async (code: FaultCode, promise: Promise<unknown>) =>
  await assert.rejects(promise, (error) => error instanceof Fault && error.code === code)

const ann = { id: 'ann', displayName: 'Ann', email: 'Ann@example.com' }

test('accounts and keys are found by what they were made with', async () => {
  const account = await identity.createAccount(ann)
  assert.deepEqual(account, { ...ann, isAdministrator: false })
  assert.deepEqual(await identity.findAccount('ann'), account)
  assert.deepEqual(await identity.findAccountByEmail('aNN@EXAMPLE.com'), account)
  const key = await identity.createKey({
    accountId: 'ann',
    id: '0555b35654ad1656d804',
    secret: 'h7GhxuBLTrlhVUyxSPUKUV8r/==',
  })
  assert.deepEqual(await identity.findKey(key.id), { key, account })
  assert.deepEqual(await identity.listKeys('ann'), [key])
  assert.deepEqual(await identity.listKeys(), [key])
  assert.deepEqual(await identity.listAccounts(), [account])
})

test('what nobody can have is not found, however long', async () => {
  for (const id of ['', 'nobody', '\0', '\ud800', 'x'.repeat(100_000)]) {
    assert.equal(await identity.findKey(id), undefined)
    assert.equal(await identity.findAccount(id), undefined)
    assert.equal(await identity.findAccountByEmail(id), undefined)
  }
})

test('ids and secrets that are made are new, of the usual shape, and evenly drawn', async () => {
  const { id } = await identity.createAccount({ displayName: 'Bob', email: '' })
  assert.match(id, /^[0-9a-f]{64}$/)
  const keys = await Promise.all(Array.from({ length: 50 }, () => identity.createKey({ accountId: id })))
  assert.equal(new Set(keys.map((each) => each.id)).size, 50)
  for (const key of keys) {
    assert.match(key.id, /^MERI[A-Z2-7]{16}$/)
    assert.match(key.secret, /^[A-Za-z0-9]{40}$/)
  }
  // 2,000 letters of 62: each is missing with a chance of 1e-14.
  assert.equal(new Set(keys.flatMap((each) => [...each.secret])).size, 62)
  assert.equal((await identity.listKeys(id)).length, 50)
})

test('a word drawn from bytes that would favour some letters is drawn again', async () => {
  let calls = 0
  const biased: World = {
    ...realWorld,
    randomBytes: (size) => new Uint8Array(size).fill(calls++ < 3 ? 255 : 1),
  }
  const store = new MemoryStore({ world: realWorld })
  const drawn = new NamespaceIdentity({ store, world: biased, namespace: new Namespace() })
  await drawn.createAccount(ann)
  // 255 is above the last whole multiple of 62, and below that of 32.
  assert.equal((await drawn.createKey({ accountId: 'ann' })).secret, 'B'.repeat(40))
})

test('D1: ids, key ids and addresses belong to one', async () => {
  await identity.createAccount(ann)
  await identity.createAccount({ ...ann, id: 'bob', email: '' })
  await identity.createAccount({ ...ann, id: 'cat', email: '' })
  await fails('EntityAlreadyExists', identity.createAccount({ ...ann, email: 'other@example.com' }))
  await fails('EntityAlreadyExists', identity.createAccount({ ...ann, id: 'dan', email: 'ann@EXAMPLE.com' }))
  await identity.createKey({ accountId: 'ann', id: 'one' })
  await fails('EntityAlreadyExists', identity.createKey({ accountId: 'bob', id: 'one' }))
  const together = Array.from({ length: 4 }, () => identity.createKey({ accountId: 'ann', id: 'two' }))
  const made = (await Promise.allSettled(together)).filter((each) => each.status === 'fulfilled')
  assert.equal(made.length, 1)
})

test('D2: a deleted key is not found, nor one of a deleted account', async () => {
  await identity.createAccount(ann)
  await identity.createKey({ accountId: 'ann', id: 'one' })
  await identity.createKey({ accountId: 'ann', id: 'two' })
  await identity.findKey('one')
  await identity.deleteKey('one')
  assert.equal(await identity.findKey('one'), undefined)
  await fails('NoSuchEntity', identity.deleteKey('one'))
  await identity.deleteAccount('ann')
  assert.equal(await identity.findKey('two'), undefined)
  assert.deepEqual(await identity.listKeys(), [])
  assert.equal(await identity.findAccountByEmail(ann.email), undefined)
  await fails('NoSuchEntity', identity.deleteAccount('ann'))
  await fails('NoSuchEntity', identity.createKey({ accountId: 'ann' }))
  // Made anew, the account has none of what it had.
  await identity.createAccount(ann)
  assert.deepEqual(await identity.listKeys('ann'), [])
})

test('an account that owns buckets stays', async () => {
  const account = await identity.createAccount(ann)
  const acl = cannedAcl('private', account)
  await buckets.create({ name: 'box', owner: 'ann', acl, location: '', hasObjectLock: false })
  await fails('DeleteConflict', identity.deleteAccount('ann'))
  await buckets.delete('box')
  await identity.deleteAccount('ann')
})

test('what cannot be an id, name, address, key or secret is refused', async () => {
  const accounts = [
    { id: '' },
    { id: 'a b' },
    { id: 'x'.repeat(129) },
    { displayName: '' },
    { displayName: 'a\nb' },
    { displayName: 'x'.repeat(129) },
    { email: 'nobody' },
    { email: 'a@b@c' },
    { email: `a@${'b'.repeat(254)}` },
  ]
  for (const change of accounts) await fails('InvalidArgument', identity.createAccount({ ...ann, ...change }))
  await identity.createAccount(ann)
  const keys = [
    { id: 'ab' },
    { id: 'a/b/c' },
    { id: 'a:b' },
    { id: 'x'.repeat(129) },
    { secret: 'short' },
    { secret: 'a b c d e' },
  ]
  for (const change of keys) await fails('InvalidArgument', identity.createKey({ accountId: 'ann', ...change }))
})

test('the first start makes an administrator and a key, every other one finds them', async () => {
  const starts = await Promise.all(Array.from({ length: 4 }, () => identity.ensureAdministrator()))
  assert.equal(starts.filter((each) => each.isNew).length, 1)
  assert.equal(new Set(starts.map((each) => each.key.id)).size, 1)
  const [account] = await identity.listAccounts()
  assert.equal(account?.isAdministrator, true)
  assert.equal((await identity.listAccounts()).length, 1)
})

test('a key that the environment brings is the administrator’s, with the secret that it has there', async () => {
  const given = { id: 'envkey', secret: 'first-secret' }
  assert.equal((await identity.ensureAdministrator(given)).isNew, true)
  assert.equal((await identity.ensureAdministrator(given)).isNew, false)
  await identity.ensureAdministrator({ ...given, secret: 'second-secret' })
  assert.equal((await identity.findKey('envkey'))?.key.secret, 'second-secret')
  assert.equal((await identity.findKey('envkey'))?.account.isAdministrator, true)
  await identity.createAccount(ann)
  await identity.createKey({ accountId: 'ann', id: 'anns' })
  await fails('EntityAlreadyExists', identity.ensureAdministrator({ id: 'anns', secret: 'first-secret' }))
})
