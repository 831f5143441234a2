import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Organization, Person } from '#src/model/organization.ts'
import { useFly } from './harness.ts'

/** The pages by which people look after who is in their organisations. */

const people = new Map<string, { readonly person: Person; readonly cookie: string }>()
let acme: Organization

const fly = useFly(async ({ accounts, makePerson, makeOrganization, join }) => {
  for (const name of ['ann', 'bob', 'cid', 'eve']) {
    const person = await makePerson(name)
    const { secret } = await accounts.tokens.create({ person: person.id, kind: 'session', name: 'browser' })
    people.set(name, { person, cookie: `meridian_session=${secret}` })
  }
  acme = await makeOrganization('Acme', personOf('ann'))
  await join(acme, personOf('cid'), 'member')
})

function personOf(name: string): Person {
  const found = people.get(name)
  assert.ok(found !== undefined)
  return found.person
}

async function visit(name: string | undefined, path: string, form?: Record<string, string>, origin = fly().origin) {
  const response = await fetch(`${fly().origin}${path}`, {
    redirect: 'manual',
    headers: {
      accept: 'text/html',
      ...(name !== undefined && { cookie: people.get(name)?.cookie ?? '' }),
      ...(form !== undefined && { origin }),
    },
    ...(form !== undefined && { method: 'POST', body: new URLSearchParams(form) }),
  })
  return { status: response.status, to: response.headers.get('location'), text: await response.text() }
}

const roleOf = async (name: string): Promise<string | undefined> =>
  (await fly().accounts.organizations.members(acme.id)).find(({ person }) => person.id === personOf(name).id)?.role

async function invite(by: string, email: string, role: string) {
  const page = await visit(by, `/organizations/${acme.id}/invitations`, { email, role })
  const [, link = ''] = /<code id="link">([^<]+)</.exec(page.text) ?? []
  return { ...page, word: link === '' ? '' : (new URL(link).searchParams.get('word') ?? '') }
}

const members = (): string => `/organizations/${acme.id}/members`

test('somebody is invited, joins by the link, is given another role, and leaves', async () => {
  const page = await visit('ann', members())
  assert.deepEqual([page.status, page.text.includes(personOf('cid').email)], [200, true])
  const { status, word } = await invite('ann', personOf('bob').email, 'member')
  assert.equal(status, 200)
  assert.notEqual(word, '')
  assert.ok((await visit('ann', members())).text.includes(`${personOf('bob').email}: member, until`))
  assert.equal((await visit(undefined, `/invitations?word=${word}`)).to?.startsWith('/login?to='), true)
  assert.match(
    (await visit('bob', `/invitations?word=${word}`)).text,
    new RegExp(`value="${word.replaceAll('.', '\\.')}"`),
  )
  assert.equal(await roleOf('bob'), undefined, 'looking joins nobody')
  assert.equal((await visit('eve', '/invitations', { word })).status, 404, 'it is for an address')
  assert.equal((await visit('bob', '/invitations', { word })).to, members())
  assert.equal(await roleOf('bob'), 'member')
  assert.equal((await visit('bob', '/invitations', { word })).status, 404, 'it is good once')
  const bob = `${members()}/${personOf('bob').id}`
  assert.equal((await visit('ann', bob, { role: 'admin' })).to, members())
  assert.equal(await roleOf('bob'), 'admin')
  assert.equal((await visit('bob', bob, { role: 'out' })).status, 200)
  assert.equal(await roleOf('bob'), undefined)
})

test('who may not invites nobody, changes nobody, and sees of another organisation nothing', async () => {
  const before = await fly().accounts.organizations.members(acme.id)
  assert.doesNotMatch((await visit('cid', members())).text, /Invite|Change/)
  assert.equal((await invite('cid', 'x@example.com', 'member')).status, 403)
  const cid = `${members()}/${personOf('cid').id}`
  assert.equal((await visit('cid', cid, { role: 'owner' })).status, 403)
  for (const path of [members(), `/organizations/none/members`]) assert.equal((await visit('eve', path)).status, 404)
  assert.equal((await invite('eve', 'x@example.com', 'member')).status, 404)
  assert.equal((await visit('eve', cid, { role: 'out' })).status, 404)
  assert.equal((await visit(undefined, cid, { role: 'out' })).to, '/login')
  // From another site, with Ann's cookie.
  assert.equal((await visit('ann', cid, { role: 'out' }, 'https://evil.example')).status, 403)
  const ann = `${members()}/${personOf('ann').id}`
  assert.equal((await visit('ann', ann, { role: 'out' })).status, 409, 'the last owner stays')
  assert.equal((await visit('ann', ann, { role: 'king' })).status, 422)
  assert.equal((await invite('ann', 'no address', 'member')).status, 422)
  assert.deepEqual(await fly().accounts.organizations.members(acme.id), before)
})

test('an invitation that was withdrawn, or whose inviter may not give it any more, opens nothing; names are shown as text', async () => {
  const withdrawn = await invite('ann', personOf('bob').email, 'admin')
  const [, id = ''] = withdrawn.word.split('.')
  assert.equal((await visit('ann', `/organizations/${acme.id}/invitations/${id}`, {})).to, members())
  assert.equal((await visit('bob', '/invitations', { word: withdrawn.word })).status, 404)
  await fly().join(acme, personOf('cid'), 'admin')
  assert.equal((await invite('cid', 'x@example.com', 'owner')).status, 403, 'above their own')
  const { word } = await invite('cid', personOf('bob').email, 'admin')
  await fly().join(acme, personOf('cid'), 'member')
  assert.equal((await visit('bob', '/invitations', { word })).status, 404)
  assert.equal(await roleOf('bob'), undefined)
  const shown = await visit('bob', `/invitations?word=${encodeURIComponent('"><script>alert(1)</script>')}`)
  assert.doesNotMatch(shown.text, /<script>/)
})
