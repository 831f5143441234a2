import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { IamRecords } from '#src/metadata/iam-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { Iam } from './iam.ts'

const openIam = (): Iam =>
  new Iam({
    store: new MemoryStore({ world: realWorld }),
    world: realWorld,
    namespace: new Namespace(),
    records: new IamRecords(),
  })

const realm = 'ann'
const name = fc.constantFrom('a', 'B', 'c')
const step = fc.oneof(
  fc.record({ do: fc.constant('user' as const), one: name }),
  fc.record({ do: fc.constant('group' as const), one: name }),
  fc.record({ do: fc.constant('add' as const), one: name, other: name }),
  fc.record({ do: fc.constant('remove' as const), one: name, other: name }),
  fc.record({ do: fc.constant('renameUser' as const), one: name, other: name }),
  fc.record({ do: fc.constant('renameGroup' as const), one: name, other: name }),
  fc.record({ do: fc.constant('dropUser' as const), one: name }),
  fc.record({ do: fc.constant('dropGroup' as const), one: name }),
)
type Step = typeof step extends fc.Arbitrary<infer Each> ? Each : never

async function carryOut(iam: Iam, each: Step): Promise<void> {
  const fresh = { name: each.one, path: '/', tags: [] }
  if (each.do === 'user') await iam.users.create(realm, fresh)
  else if (each.do === 'group') await iam.groups.create(realm, fresh)
  else if (each.do === 'add') await iam.groups.add(realm, each.one, each.other)
  else if (each.do === 'remove') await iam.groups.remove(realm, each.one, each.other)
  else if (each.do === 'renameUser') await iam.users.update(realm, each.one, { newName: each.other })
  else if (each.do === 'renameGroup') await iam.groups.update(realm, each.one, { newName: each.other })
  else if (each.do === 'dropUser') await iam.users.delete(realm, each.one)
  else await iam.groups.delete(realm, each.one)
}

test('N5: users name just the groups that name them, whatever was done', async () => {
  let pairs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const iam = openIam()
      for (const one of ['a', 'B', 'c'] as const) {
        await carryOut(iam, { do: 'user', one })
        await carryOut(iam, { do: 'group', one })
      }
      for (const each of steps) {
        await carryOut(iam, each).catch((error: unknown) => assert.ok(error instanceof Fault, String(error)))
      }
      const all = { pathPrefix: '/', marker: undefined, limit: 99 }
      const byUser: string[] = []
      for (const user of (await iam.entities.list(realm, 'user', all)).items) {
        for (const group of await iam.groups.ofUser(realm, user.name)) byUser.push(`${group.name} ${user.name}`)
        assert.equal((await iam.groups.ofUser(realm, user.name)).length, user.groups.length)
      }
      const byGroup: string[] = []
      for (const group of (await iam.entities.list(realm, 'group', all)).items) {
        const names = await iam.entities.read((from) =>
          iam.entities.records.members(from, realm, group.name.toLowerCase()),
        )
        const { users } = await iam.groups.users(realm, group.name)
        assert.equal(names.length, users.length)
        byGroup.push(...users.map((each) => `${group.name} ${each.name}`))
      }
      assert.deepEqual(byUser.sort(), byGroup.sort())
      pairs += byUser.length
    }),
    { numRuns: 150 },
  )
  assert.ok(pairs > 20, 'some are in groups')
})

const code = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return 'ok'
  } catch (error) {
    assert.ok(error instanceof Fault, String(error))
    return error.code
  }
}

test("AWS's quotas hold", async () => {
  const iam = openIam()
  const account = { id: realm, displayName: '', email: '', isAdministrator: false }
  await iam.users.create(realm, { name: 'u', path: '/', tags: [] })
  const asker = { account, isAccount: true }
  const made = [await iam.users.createKey(asker, 'u'), await iam.users.createKey(asker, 'u')]
  assert.equal(await code(iam.users.createKey(asker, 'u')), 'LimitExceeded')
  await iam.users.deleteKey(asker, 'u', made[0]?.id ?? '')
  assert.equal(await code(iam.users.createKey(asker, 'u')), 'ok')

  const allowing = (count: number): string =>
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: `arn:aws:s3:::${'x'.repeat(count)}` }],
    })
  assert.equal(await code(iam.bearers.put(realm, 'user', 'u', 'p', allowing(1_900))), 'ok')
  assert.equal(
    await code(iam.bearers.put(realm, 'user', 'u', 'p', allowing(1_900))),
    'ok',
    'its own size is not counted twice',
  )
  assert.equal(await code(iam.bearers.put(realm, 'user', 'u', 'q', allowing(100))), 'LimitExceeded')
  assert.equal(await code(iam.bearers.put(realm, 'user', 'u', 'q', '{"Statement":[]}')), 'MalformedPolicy')

  const tags = Array.from({ length: 50 }, (_, at) => [`k${at}`, 'v'] as const)
  assert.equal(await code(iam.users.tag(realm, 'u', tags)), 'ok')
  assert.equal(await code(iam.users.tag(realm, 'u', [['K1', 'w']])), 'ok')
  assert.equal(await code(iam.users.tag(realm, 'u', [['more', 'w']])), 'LimitExceeded')
  assert.equal((await iam.users.get(realm, 'u')).tags.find(([key]) => key === 'K1')?.[1], 'w')
})

test('a managed policy has five versions at most, and their numbers do not come again', async () => {
  const iam = openIam()
  const document = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }],
  })
  await iam.policies.create(realm, { name: 'p', path: '/x/', document, tags: [] })
  const arn = 'arn:aws:iam::ann:policy/x/p'
  for (let at = 2; at <= 5; at++)
    assert.equal((await iam.policies.createVersion(realm, arn, document, true)).id, `v${at}`)
  assert.equal(await code(iam.policies.createVersion(realm, arn, document, true)), 'LimitExceeded')
  await iam.policies.deleteVersion(realm, arn, 'v1')
  assert.equal((await iam.policies.createVersion(realm, arn, document, false)).id, 'v6')
  assert.equal((await iam.policies.get(realm, arn)).defaultVersion, 'v5')
  assert.equal(await code(iam.policies.delete(realm, arn)), 'DeleteConflict')
  // An ARN names its path too, and nobody changes what is AWS's.
  assert.equal(await code(iam.policies.get(realm, 'arn:aws:iam::ann:policy/p')), 'NoSuchEntity')
  assert.equal(await code(iam.policies.get('bob', arn)), 'NoSuchEntity')
  assert.equal(await code(iam.policies.delete(realm, 'arn:aws:iam::aws:policy/IAMFullAccess')), 'AccessDenied')
})
