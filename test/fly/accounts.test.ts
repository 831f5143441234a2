import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { Fault } from '#src/errors.ts'
import { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { setSharedSecret } from '#src/metadata/provision-records.ts'
import { nextLane, readTasks } from '#src/metadata/task-records.ts'
import { type Organization, type OrganizationAction, type Person, type Role, roles } from '#src/model/organization.ts'
import type { Provisioned } from '#src/model/provision.ts'
import type { SignedIn } from '#src/service/accounts/tokens.ts'
import { Hooks, hookSecret } from '#src/service/provisioning/hooks.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { clientOf, type FlyHarness, newName, password, useFly } from './harness.ts'
import { type Data, newBucket, type Operation, PlaneClient } from './plane-client.ts'

/** Organisations and the people in them. */

const fly = useFly()

const accounts = () => fly().accounts

const refused = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return 'done'
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
}

async function signedIn(person: Person, options: Parameters<FlyHarness['tokenOf']>[1] = {}): Promise<SignedIn> {
  const found = await accounts().tokens.authenticate(await fly().tokenOf(person, options))
  assert.ok(found !== undefined)
  return found
}

/** An organisation with somebody in each role. */
async function peopled(name: string): Promise<{ organization: Organization; people: Record<Role, Person> }> {
  const owner = await fly().makePerson('owner')
  const organization = await fly().makeOrganization(name, owner)
  const people = { owner } as Record<Role, Person>
  for (const role of roles) {
    if (role === 'owner') continue
    people[role] = await fly().makePerson(role)
    await fly().join(organization, people[role], role)
  }
  return { organization, people }
}

test('A5: an organisation is an account, and goes with it', async () => {
  const owner = await fly().makePerson('owner')
  const organization = await fly().makeOrganization('Gone', owner)
  const { identity } = accounts().organizations.parts
  assert.equal((await identity.findAccount(organization.id))?.displayName, 'Gone')
  assert.equal(await refused(identity.deleteAccount(organization.id)), 'DeleteConflict')
  const { provisioned } = await accounts().provisioning.provision({
    organization: organization.slug,
    options: {},
    asked: '',
  })
  await accounts().apps.create(organization.id, newName('app'))
  assert.equal(await refused(accounts().organizations.delete(organization.slug)), 'DeleteConflict')
  await accounts().provisioning.destroy(provisioned.id)
  assert.equal(await refused(accounts().organizations.delete(organization.slug)), 'DeleteConflict')
  for (const { name } of await accounts().apps.list(organization.id)) await accounts().apps.delete(name)
  await accounts().organizations.delete(organization.slug)
  assert.equal(await identity.findAccount(organization.id), undefined)
  assert.equal(await refused(accounts().organizations.get(organization.slug)), 'NoSuchEntity')
  assert.deepEqual(await accounts().organizations.placesOf(await signedIn(owner)), [])
})

/** What each role may, written out: what is not here is refused. */
const may: Readonly<Record<Role, readonly OrganizationAction[]>> = {
  owner: [
    'organization:read',
    'organization:change',
    'organization:delete',
    'members:read',
    'members:change',
    'keys:change',
    'buckets:read',
    'buckets:change',
    'apps:read',
    'apps:change',
  ],
  admin: [
    'organization:read',
    'organization:change',
    'members:read',
    'members:change',
    'keys:change',
    'buckets:read',
    'buckets:change',
    'apps:read',
    'apps:change',
  ],
  member: [
    'organization:read',
    'members:read',
    'keys:change',
    'buckets:read',
    'buckets:change',
    'apps:read',
    'apps:change',
  ],
  'read-only': ['organization:read', 'members:read', 'buckets:read', 'apps:read'],
}

test('A6: each role may what it may, and nobody of another organisation anything', async () => {
  const [mine, theirs] = [await peopled('Mine'), await peopled('Theirs')]
  for (const role of roles) {
    const who = await signedIn(mine.people[role])
    const readOnly = await signedIn(mine.people[role], { isReadOnly: true })
    const elsewhere = await signedIn(mine.people[role], { organization: theirs.organization.id })
    for (const action of may.owner) {
      const expected = may[role].includes(action) ? 'done' : 'AccessDenied'
      const ask = (by: SignedIn, of: Organization) => refused(accounts().organizations.authorize(by, of.id, action))
      assert.equal(await ask(who, mine.organization), expected, `${role} ${action}`)
      const reads = may['read-only'].includes(action)
      assert.equal(
        await ask(readOnly, mine.organization),
        reads ? 'done' : 'AccessDenied',
        `${role} ${action} read-only`,
      )
      // As if it were not there, by id and by name; also by a token that is good elsewhere alone.
      assert.equal(await ask(who, theirs.organization), 'NoSuchEntity')
      assert.equal(await ask(elsewhere, mine.organization), 'NoSuchEntity')
      assert.equal(
        await refused(accounts().organizations.authorize(who, theirs.organization.slug, action)),
        'NoSuchEntity',
      )
    }
  }
})

test('A6: over HTTP, all that flyctl can ask, as one organisation about what is another’s', async () => {
  const [mine, theirs] = [await peopled('Ours'), await peopled('Foreign')]
  const victim = new PlaneClient(fly().origin, await fly().tokenOf(theirs.people.owner))
  const appName = newName('app')
  await victim.call('POST /v1/apps', '/v1/apps', { app_name: appName, org_slug: theirs.organization.slug })
  const made = await victim.get(
    'CreateExtension',
    newBucket({ organizationId: theirs.organization.id, name: newName() }),
  )
  const { name } = (made['createAddOn'] as { addOn: { name: string } }).addOn
  const before = JSON.stringify([
    await accounts().provisioning.list(theirs.organization.id),
    await accounts().apps.list(theirs.organization.id),
  ])
  const update = { addOnId: name, planId: '', readRegions: [], options: { public: true }, metadata: {} }
  const secret = { appId: appName, clientMutationId: '', replaceAll: true, secrets: [{ key: 'A', value: 'b' }] }
  const asked: readonly (readonly [Operation, Data, Data])[] = [
    // Beside what is theirs, what is nobody's: both sound alike.
    ['GetOrganization', { slug: theirs.organization.slug }, { slug: 'nobody' }],
    [
      'ListOrganizationAddOns',
      { orgSlug: theirs.organization.slug, addOnType: 'tigris' },
      { orgSlug: 'nobody', addOnType: 'tigris' },
    ],
    [
      'GetExtensionSsoLink',
      { orgSlug: theirs.organization.slug, provider: 'tigris' },
      { orgSlug: 'nobody', provider: 'tigris' },
    ],
    ['GetApp', { name: appName }, { name: 'no-such-app' }],
    ['GetAppWithAddons', { name: appName, addOnType: 'tigris' }, { name: 'no-such-app', addOnType: 'tigris' }],
    ['CreateExtension', newBucket({ organizationId: theirs.organization.id }), newBucket({ organizationId: 'nobody' })],
    ['CreateExtension', newBucket({ appId: appName }), newBucket({ appId: 'no-such-app' })],
    ['GetAddOn', { name, provider: 'tigris' }, { name: 'nobodys', provider: 'tigris' }],
    ['UpdateAddOn', update, { ...update, addOnId: 'nobodys' }],
    ['DeleteAddOn', { name, provider: 'tigris' }, { name: 'nobodys', provider: 'tigris' }],
    ['SetSecrets', { input: secret }, { input: { ...secret, appId: 'no-such-app' } }],
  ]
  for (const role of roles) {
    const stranger = new PlaneClient(fly().origin, await fly().tokenOf(mine.people[role]))
    for (const [operation, foreign, missing] of asked) {
      const said = await stranger.refused(operation, foreign)
      assert.match(said, /^NOT_FOUND: /, `${role} ${operation}`)
      const hidden = said.replaceAll(name, 'nobodys').replaceAll(appName, 'no-such-app')
      assert.equal(hidden, await stranger.refused(operation, missing), `${role} ${operation}`)
    }
    for (const path of [`/v1/apps/${appName}`, `/v1/apps/${appName}/machines`]) {
      assert.equal((await stranger.call('GET /v1/apps/{name}', path)).status, 404)
    }
    assert.equal((await stranger.call('DELETE /v1/apps/{name}', `/v1/apps/${appName}`)).status, 404)
    const { addOns } = await stranger.get('ListAddOns', { addOnType: 'tigris' })
    assert.deepEqual(addOns, { nodes: [] })
  }
  const after = JSON.stringify([
    await accounts().provisioning.list(theirs.organization.id),
    await accounts().apps.list(theirs.organization.id),
  ])
  assert.equal(after, before)
  // A member of theirs who may only read changes nothing either.
  const reader = new PlaneClient(fly().origin, await fly().tokenOf(theirs.people['read-only']))
  await reader.get('GetAddOn', { name, provider: 'tigris' })
  for (const [operation, variables] of asked) {
    if (['CreateExtension', 'UpdateAddOn', 'DeleteAddOn', 'SetSecrets'].includes(operation)) {
      assert.match(await reader.refused(operation, variables), /^FORBIDDEN: /, operation)
    }
  }
})

test('A6: who takes the name of a bucket that is gone shows nothing of theirs to whose it was', async () => {
  for (const isByFlyctl of [true, false]) {
    const [was, is] = [await peopled('Before'), await peopled('After')]
    const first = new PlaneClient(fly().origin, await fly().tokenOf(was.people.owner))
    const second = new PlaneClient(fly().origin, await fly().tokenOf(is.people.owner))
    const listed = async (client: PlaneClient) =>
      ((await client.get('ListAddOns', { addOnType: 'tigris' }))['addOns'] as { nodes: Data[] }).nodes
    const name = newName()
    await first.get('CreateExtension', newBucket({ organizationId: was.organization.id, name }))
    assert.deepEqual(
      (await listed(first)).map((each) => each['name']),
      [name],
    )
    // By another way than the control plane's, which hears nothing of it.
    await fly().node.services.buckets.delete(name, () => {})
    if (isByFlyctl) await second.get('CreateExtension', newBucket({ organizationId: is.organization.id, name }))
    else await accounts().provisioning.provision({ organization: is.organization.id, name, options: {}, asked: '' })
    const end = Date.now() + 60_000
    while ((await listed(second)).length === 0 && Date.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 100))
    assert.deepEqual(
      (await listed(second)).map((each) => each['name']),
      [name],
    )
    assert.deepEqual(await listed(first), [])
    assert.match(await first.refused('GetAddOn', { name, provider: 'tigris' }), /^NOT_FOUND/)
    assert.match(await first.refused('DeleteAddOn', { name, provider: 'tigris' }), /^NOT_FOUND/)
    assert.equal((await accounts().provisioning.list(is.organization.id)).length, 1)
  }
})

test('A6: the key of one organisation opens no bucket of another by S3', async () => {
  const [mine, theirs] = [await peopled('Near'), await peopled('Far')]
  const made = async (organization: Organization) => {
    const { provisioned, key } = await accounts().provisioning.provision({
      organization: organization.id,
      options: {},
      asked: '',
    })
    const config = {
      AWS_ACCESS_KEY_ID: key.id,
      AWS_SECRET_ACCESS_KEY: key.secret,
      AWS_REGION: 'auto',
      AWS_ENDPOINT_URL_S3: fly().storage,
    }
    return { client: clientOf(config), Bucket: provisioned.bucket }
  }
  const [ours, others] = [await made(mine.organization), await made(theirs.organization)]
  await others.client.send(new PutObjectCommand({ Bucket: others.Bucket, Key: 'a', Body: 'x' }))
  await assert.rejects(ours.client.send(new GetObjectCommand({ Bucket: others.Bucket, Key: 'a' })), /AccessDenied/)
  await assert.rejects(
    ours.client.send(new PutObjectCommand({ Bucket: others.Bucket, Key: 'b', Body: 'x' })),
    /AccessDenied/,
  )
  const copy = { Bucket: ours.Bucket, Key: 'a', CopySource: `${others.Bucket}/a` }
  const { CopyObjectCommand } = await import('@aws-sdk/client-s3')
  await assert.rejects(ours.client.send(new CopyObjectCommand(copy)), /AccessDenied/)
})

test('A7: nobody gives, takes or changes a role above their own, and an owner stays', async () => {
  const { organization, people } = await peopled('Ranks')
  const change = async (by: Role, of: Role, role: Role | undefined): Promise<string> =>
    await refused(
      accounts().organizations.changeMember(await signedIn(people[by]), organization.id, people[of].id, role),
    )
  assert.equal(await change('admin', 'member', 'owner'), 'AccessDenied')
  assert.equal(await change('admin', 'admin', 'owner'), 'AccessDenied')
  assert.equal(await change('admin', 'owner', 'member'), 'AccessDenied')
  assert.equal(await change('admin', 'owner', undefined), 'AccessDenied')
  assert.equal(await change('member', 'read-only', 'member'), 'AccessDenied')
  assert.equal(await change('read-only', 'read-only', 'owner'), 'AccessDenied')
  assert.equal(await change('owner', 'owner', 'member'), 'DeleteConflict')
  assert.equal(await change('owner', 'owner', undefined), 'DeleteConflict')
  assert.equal(await change('admin', 'member', 'read-only'), 'done')
  assert.equal(await change('admin', 'read-only', undefined), 'done')
  // Whoever leaves by themselves may, but not by a token that changes nothing.
  const bound = await signedIn(people.member, { isReadOnly: true })
  assert.equal(
    await refused(accounts().organizations.changeMember(bound, organization.id, people.member.id, undefined)),
    'AccessDenied',
  )
  assert.equal(await change('member', 'member', undefined), 'done')
  assert.equal(await change('owner', 'admin', 'owner'), 'done')
  assert.equal(await change('owner', 'owner', undefined), 'done')
  assert.deepEqual(
    (await accounts().organizations.members(organization.id)).map(({ role }) => role),
    ['owner'],
  )
})

test('A7: of two owners who leave at once, one stays', async () => {
  const { organization, people } = await peopled('Two')
  await fly().join(organization, people.admin, 'owner')
  const leave = async (person: Person): Promise<string> =>
    await refused(accounts().organizations.changeMember(await signedIn(person), organization.id, person.id, undefined))
  const both = await Promise.all([leave(people.owner), leave(people.admin)])
  assert.deepEqual(both.sort(), ['DeleteConflict', 'done'])
})

test('invitations: one word, for one address, once, and no higher than whoever gave it', async () => {
  const { organization, people } = await peopled('Inviting')
  const { invitations, organizations } = accounts()
  const guest = await fly().makePerson('guest')
  const [owner, admin, invited] = [await signedIn(people.owner), await signedIn(people.admin), await signedIn(guest)]
  const invite = (by: SignedIn, role: Role, email = guest.email) =>
    invitations.create(by, organization.id, { email, role })
  assert.equal(await refused(invite(admin, 'owner')), 'AccessDenied')
  assert.equal(await refused(invite(await signedIn(people.member), 'read-only')), 'AccessDenied')
  assert.equal(await refused(invite(admin, 'member', 'no address')), 'InvalidArgument')
  const { word, invitation } = await invite(admin, 'member', guest.email.toUpperCase())
  assert.equal(JSON.stringify(await invitations.list(owner, organization.id)).includes(word.split('.')[2] ?? ''), false)
  assert.equal(await refused(invitations.accept(await signedIn(people.member), word)), 'NoSuchEntity')
  assert.equal(await refused(invitations.accept(invited, `${word}x`)), 'NoSuchEntity')
  assert.equal(await refused(invitations.accept(invited, '')), 'NoSuchEntity')
  assert.equal(await refused(invitations.accept(await signedIn(guest, { isReadOnly: true }), word)), 'NoSuchEntity')
  await invitations.accept(invited, word)
  assert.equal(await refused(invitations.accept(invited, word)), 'NoSuchEntity')
  assert.equal((await organizations.authorize(invited, organization.id, 'buckets:change')).role, 'member')
  // One that was withdrawn, and one whose giver may not give that any more.
  const second = await invite(admin, 'admin')
  await invitations.withdraw(owner, organization.id, second.invitation.id)
  assert.equal(await refused(invitations.accept(invited, second.word)), 'NoSuchEntity')
  const third = await invite(admin, 'admin')
  await fly().join(organization, people.admin, 'member')
  assert.equal(await refused(invitations.accept(invited, third.word)), 'NoSuchEntity')
  assert.equal(await refused(invitations.withdraw(invited, organization.id, invitation.id)), 'AccessDenied')
  // A lower one takes nothing away.
  const lower = await invite(owner, 'read-only')
  await invitations.accept(invited, lower.word)
  assert.equal((await organizations.authorize(invited, organization.id, 'organization:read')).role, 'member')
})

test('T1: neither passwords nor tokens can be read out of what is stored', async () => {
  const person = await fly().makePerson('secretive', true)
  const secret = await fly().tokenOf(person)
  const { store } = accounts().organizations.parts
  const records = new OrganizationRecords()
  const rows = await store.snapshot(async (snapshot) => [
    await records.person(snapshot, person.id),
    await records.tokensOf(snapshot, person.id),
  ])
  const text = JSON.stringify(rows)
  assert.ok(text.includes('hash'))
  for (const hidden of [password, secret, secret.slice(4)]) assert.equal(text.includes(hidden), false)
})

test('T2: a token that was deleted or has ended is nobody’s, and a new password ends sessions', async () => {
  const { tokens, people } = accounts()
  const person = await fly().makePerson('ending', true)
  const { token, secret } = await tokens.create({ person: person.id, kind: 'token', name: 'a' })
  const session = await tokens.create({ person: person.id, kind: 'session', name: 'b' })
  const past = await tokens.create({ person: person.id, kind: 'token', name: 'c', lifetime: -1 })
  assert.equal((await tokens.authenticate(secret))?.person.id, person.id)
  assert.equal(await tokens.authenticate(past.secret), undefined)
  assert.equal(await tokens.authenticate(`${secret}x`), undefined)
  assert.deepEqual((await tokens.list(person.id)).map(({ name }) => name).sort(), ['a', 'b'])
  const other = await fly().makePerson('other')
  assert.equal(await refused(tokens.delete(other.id, token.id)), 'NoSuchEntity')
  await people.setPassword(person.id, 'another long password')
  assert.equal(await tokens.authenticate(session.secret), undefined)
  assert.ok((await tokens.authenticate(secret)) !== undefined)
  await tokens.delete(person.id, token.id)
  assert.equal(await tokens.authenticate(secret), undefined)
  assert.equal((await tokens.checkPassword(person.email, 'another long password')).id, person.id)
  assert.equal(await refused(tokens.checkPassword(person.email, password)), 'AccessDenied')
})

test('T3: after some wrong passwords of an address, tried at once or not, the right one is refused too', async () => {
  const { tokens } = accounts()
  const person = await fly().makePerson('guessed', true)
  const tries = await Promise.all(
    Array.from({ length: 14 }, (_, at) => refused(tokens.checkPassword(person.email, `wrong password ${at}`))),
  )
  assert.equal(tries.filter((each) => each === 'AccessDenied').length, 10)
  assert.equal(tries.filter((each) => each === 'SlowDown').length, 4)
  assert.equal(await refused(tokens.checkPassword(person.email.toUpperCase(), password)), 'SlowDown')
  // Of others nothing is known by that.
  assert.equal(await refused(tokens.checkPassword('nobody@example.com', password)), 'AccessDenied')
  assert.equal(await refused(tokens.checkPassword((await fly().makePerson('else', true)).email, password)), 'done')
})

test('Q1: what is good for some minutes ends with them, and is taken away by what comes after', async () => {
  const { shortLived } = accounts()
  await shortLived.set('test', 'over', 1, -1)
  assert.equal(await shortLived.get('test', 'over'), undefined)
  assert.equal(await shortLived.add('test', 'over', 2, 60_000), undefined)
  assert.equal(await shortLived.add('test', 'over', 3, 60_000), 2)
  const all = await Promise.all(Array.from({ length: 5 }, () => shortLived.take('test', 'over')))
  assert.deepEqual(
    all.filter((each) => each !== undefined),
    [2],
  )
  const { store } = accounts().organizations.parts
  const { under } = await import('#src/metadata/keyspace.ts')
  const range = under('shortLived', ['ended'])
  const left = () => store.snapshot((snapshot) => snapshot.range(range.from, range.to, { limit: 1_000 }))
  for (let at = 0; at < 50; at++) await shortLived.set('ended', `${at}`, at, -1)
  assert.ok((await left()).length < 5)
})

test('names, addresses and passwords that are none are refused', async () => {
  const { people, organizations, apps } = accounts()
  const person = (email: string, secret = password, name = 'x') =>
    refused(people.create({ email, name, password: secret }))
  for (const email of ['', 'a', 'a@', '@b', 'a b@c', `${'a'.repeat(250)}@example.com`]) {
    assert.equal(await person(email), 'InvalidArgument', email)
  }
  assert.equal(await person('short@example.com', 'short'), 'InvalidArgument')
  assert.equal(await person('long@example.com', 'x'.repeat(300)), 'InvalidArgument')
  assert.equal(await person('name@example.com', password, ''), 'InvalidArgument')
  const twice = await fly().makePerson('twice')
  assert.equal(await person(twice.email.toUpperCase()), 'EntityAlreadyExists')
  for (const slug of ['', '-a', 'a-', 'a--b', 'A', 'a b', 'x'.repeat(80)]) {
    assert.equal(await refused(organizations.create({ name: 'x', slug })), 'InvalidArgument', slug)
  }
  const { slug, id } = await organizations.create({ name: 'Ünï Cöde & Söhne' })
  assert.match(slug, /^uni-code-sohne-[a-z0-9]{6}$/)
  assert.equal(await refused(organizations.create({ name: 'x', slug })), 'EntityAlreadyExists')
  assert.equal(await refused(apps.create(id, 'No Name')), 'InvalidArgument')
  const app = await apps.create(id, newName('app'))
  assert.equal(await refused(apps.create(id, app.name)), 'EntityAlreadyExists')
  assert.equal(await refused(apps.setSecrets(app.name, new Map([['1BAD', 'x']]))), 'InvalidArgument')
  assert.equal(await refused(apps.setSecrets(app.name, new Map([['BAD', 'a\0b']]))), 'InvalidArgument')
})

test('U6: a sealed secret opens for its own app and name alone', async () => {
  const { apps, organizations } = accounts()
  const { id } = await organizations.create({ name: 'Sealed' })
  const [one, two] = [await apps.create(id, newName('one')), await apps.create(id, newName('two'))]
  await apps.setSecrets(
    one.name,
    new Map([
      ['A', 'value'],
      ['B', 'other'],
    ]),
  )
  assert.deepEqual(
    await apps.openSecrets(one.name),
    new Map([
      ['A', 'value'],
      ['B', 'other'],
    ]),
  )
  const { store } = organizations.parts
  const { putApp, readApp } = await import('#src/metadata/app-records.ts')
  const row = await store.snapshot((snapshot) => readApp(snapshot, one.name))
  assert.ok(row !== undefined)
  const moved = row.secrets['A']
  assert.ok(moved !== undefined)
  await store.transact(async (transaction) => putApp(transaction, { ...two, secrets: { A: moved } }))
  await assert.rejects(apps.openSecrets(two.name))
  await store.transact(async (transaction) => putApp(transaction, { ...row, secrets: { B: moved } }))
  await assert.rejects(apps.openSecrets(one.name))
})

test('A5: a role is a policy for buckets and objects, judged with all others', async () => {
  const { organization, people } = await peopled('Judged')
  const { provisioned } = await accounts().provisioning.provision({
    organization: organization.id,
    options: {},
    asked: '',
  })
  const other = await fly().makeOrganization('Unjudged')
  const foreign = await accounts().provisioning.provision({ organization: other.id, options: {}, asked: '' })
  const { access } = fly().node
  const allowed = async (who: SignedIn, action: string, bucket: string): Promise<string> => {
    const caller = await accounts().organizations.callerOf(who, organization.id)
    const decide = async (): Promise<void> => {
      const guard = await access.authorize({ caller, action, bucket, key: 'a', values: { get: () => undefined } })
      guard(undefined, await fly().node.services.buckets.get(bucket))
    }
    return await refused(decide())
  }
  for (const role of roles) {
    const who = await signedIn(people[role])
    const writes = role === 'read-only' ? 'AccessDenied' : 'done'
    assert.equal(await allowed(who, 's3:GetObject', provisioned.bucket), 'done')
    assert.equal(await allowed(who, 's3:PutObject', provisioned.bucket), writes, role)
    assert.equal(await allowed(who, 's3:DeleteObject', provisioned.bucket), writes, role)
    const bound = await signedIn(people[role], { isReadOnly: true })
    assert.equal(await allowed(bound, 's3:PutObject', provisioned.bucket), 'AccessDenied')
    for (const action of ['s3:GetObject', 's3:PutObject']) {
      assert.equal(await allowed(who, action, foreign.provisioned.bucket), 'AccessDenied', `${role} ${action}`)
    }
    assert.equal(await refused(accounts().organizations.callerOf(who, other.id)), 'NoSuchEntity')
  }
})

test('N6: nothing of an organisation is left once it is deleted', async () => {
  const { organizations, invitations, provisioning, apps } = accounts()
  const { store } = organizations.parts
  const { wholeNamespace } = await import('#src/metadata/namespace-keys.ts')
  const keys = async (): Promise<readonly string[]> => {
    const rows = await store.snapshot((snapshot) =>
      snapshot.range(wholeNamespace.from, wholeNamespace.to, { limit: 5_000 }),
    )
    assert.ok(rows.length < 5_000)
    return rows.map(({ key }) => Buffer.from(key).toString('hex'))
  }
  const owner = await fly().makePerson('leaving')
  const who = await signedIn(owner)
  await organizations.delete((await organizations.create({ name: 'First', owner: owner.id })).id)
  // What the control plane hears of others' buckets comes later than they do.
  const isTold = () => store.snapshot(async (snapshot) => (await readTasks(snapshot, undefined, 1)).length === 0)
  const patience = Date.now() + 60_000
  while (!(await isTold()) && Date.now() < patience) await new Promise((resolve) => setTimeout(resolve, 50))
  const before = await keys()
  const organization = await organizations.create({ name: 'Traceless', owner: owner.id })
  await invitations.create(who, organization.id, { email: 'guest@example.com', role: 'member' })
  const { provisioned } = await provisioning.provision({
    organization: organization.id,
    externalId: 'own:trace',
    options: { domain: `${newName()}.example.com` },
    asked: '',
  })
  const app = await apps.create(organization.id, newName('app'))
  assert.ok((await keys()).length > before.length + 10)
  await provisioning.destroy(provisioned.id)
  await apps.delete(app.name)
  await organizations.delete(organization.id)
  // The control plane is told, and forgets what it may have heard of the bucket meanwhile.
  const end = Date.now() + 60_000
  while ((await keys()).length > before.length && Date.now() < end)
    await new Promise((resolve) => setTimeout(resolve, 100))
  assert.deepEqual(await keys(), before)
})

test('U5: a change is told until it is taken, and only where it was made', async () => {
  const store = new MemoryStore({ world: realWorld })
  const hooks = new Hooks({ store, world: realWorld })
  const provisioned = { id: 'a', bucket: 'b' } as Provisioned
  const add = (kind: 'created' | 'deleted') =>
    store.transact((transaction) => hooks.add(transaction, kind, provisioned))
  const told: string[] = []
  const stopping = new AbortController()
  let isTaken = false
  const failures: string[] = []
  // Before anybody was ever to be told, nothing is remembered.
  await add('deleted')
  assert.equal(await store.snapshot((snapshot) => nextLane(snapshot, undefined)), undefined)
  await store.transact(async (transaction) =>
    setSharedSecret(transaction, hookSecret, { keyId: '', wrapped: '', sealed: '' }),
  )
  await add('created')
  const undone = store.transact(async (transaction) => {
    await hooks.add(transaction, 'deleted', provisioned)
    throw new Error('not made')
  })
  await assert.rejects(undone, /not made/)
  const running = hooks.run(stopping.signal, {
    send: async ({ kind }) => {
      if (!isTaken) throw new Error('nobody there')
      told.push(kind)
    },
    report: ({ reason }) => {
      failures.push(reason)
      isTaken = failures.length >= 2
    },
    failed: (error) => assert.fail(String(error)),
  })
  const end = Date.now() + 60_000
  while (told.length === 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50))
  stopping.abort()
  await running
  assert.deepEqual(told, ['created'])
  assert.deepEqual(failures, ['nobody there', 'nobody there'])
  await store.close()
})
