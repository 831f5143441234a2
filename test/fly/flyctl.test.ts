import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { Organization, Person } from '#src/model/organization.ts'
import { approve, visit } from '../../compat/flyctl/browser.ts'
import { clientOf, newName, password, useFly } from './harness.ts'
import { asked, type Data, newBucket, newVerifier, PlaneClient } from './plane-client.ts'
import { knownQuestions } from './questions.ts'

/** What flyctl asks, without flyctl. compat/flyctl checks that it asks nothing else. */

let ann: Person
let acme: Organization
let client: PlaneClient

const fly = useFly(async ({ makePerson, makeOrganization, tokenOf, origin }) => {
  ann = await makePerson('ann', true)
  acme = await makeOrganization('Acme', ann)
  client = new PlaneClient(origin, await tokenOf(ann))
})

const create = async (
  more: Data = {},
): Promise<{ name: string; environment: Record<string, string>; ssoLink: string }> => {
  const data = await client.get('CreateExtension', newBucket({ organizationId: acme.id, ...more }))
  const { addOn } = data['createAddOn'] as {
    addOn: { name: string; environment: Record<string, string>; ssoLink: string }
  }
  return addOn
}

const addOnOf = async (name: string): Promise<Data> =>
  (await client.get('GetAddOn', { name, provider: 'tigris' }))['addOn'] as Data

test('who signed in, and what they are in', async () => {
  assert.deepEqual(await client.get('anonymous viewer'), {
    viewer: { id: ann.id, email: ann.email, enablePaidHobby: false },
  })
  assert.deepEqual(await client.get('anonymous organization', { slug: acme.slug }), {
    organization: {
      id: acme.id,
      internalNumericId: String(acme.number),
      slug: acme.slug,
      rawSlug: acme.slug,
      name: 'Acme',
      type: 'SHARED',
      billable: true,
    },
  })
  const { organizations } = await client.get('anonymous organizations', { admin: false })
  assert.deepEqual(
    (organizations as { nodes: Data[] }).nodes.map(({ slug, viewerRole }) => [slug, viewerRole]),
    [[acme.slug, 'admin']],
  )
})

test('storage create without an app, list, status, destroy', async () => {
  await client.get('anonymous organization', { slug: acme.slug })
  const { addOnProvider } = await client.get('GetAddOnProvider', { name: 'tigris' })
  assert.equal((addOnProvider as Data)['name'], 'tigris')
  assert.equal((addOnProvider as Data)['internal'], true)
  await client.get('GetOrganization', { slug: acme.slug })
  const name = newName()
  const made = await create({ name })
  assert.equal(made.name, name)
  // Whatever is no text makes flyctl panic.
  assert.ok(Object.values(made.environment).every((each) => typeof each === 'string'))
  const s3 = clientOf(made.environment)
  await s3.send(new PutObjectCommand({ Bucket: name, Key: 'a', Body: 'x' }))
  const addOn = await addOnOf(name)
  assert.equal(addOn['status'], 'ready')
  assert.equal((addOn['organization'] as Data)['slug'], acme.slug)
  assert.equal(addOn['password'], null)
  assert.equal(JSON.stringify(addOn).includes(made.environment['AWS_SECRET_ACCESS_KEY'] ?? ''), false)
  const { addOns } = await client.get('ListAddOns', { addOnType: 'tigris' })
  assert.ok((addOns as { nodes: Data[] }).nodes.some((each) => each['name'] === name))
  const { organization } = await client.get('ListOrganizationAddOns', { orgSlug: acme.slug, addOnType: 'tigris' })
  const nodes = ((organization as Data)['addOns'] as { nodes: Data[] }).nodes
  assert.ok(nodes.some((each) => each['name'] === name))
  assert.match(await client.refused('DeleteAddOn', { name, provider: 'tigris' }), /^NOT_EMPTY: .*not empty/)
  assert.equal((await addOnOf(name))['status'], 'ready')
  await s3.send(new PutObjectCommand({ Bucket: name, Key: 'b', Body: 'x' }))
  const { DeleteObjectsCommand } = await import('@aws-sdk/client-s3')
  await s3.send(new DeleteObjectsCommand({ Bucket: name, Delete: { Objects: [{ Key: 'a' }, { Key: 'b' }] } }))
  const { deleteAddOn } = await client.get('DeleteAddOn', { name, provider: 'tigris' })
  assert.deepEqual(deleteAddOn, { deletedAddOnName: name })
  assert.match(await client.refused('GetAddOn', { name, provider: 'tigris' }), /^NOT_FOUND: /)
  assert.match(await client.refused('DeleteAddOn', { name, provider: 'tigris' }), /^NOT_FOUND: /)
})

test('storage create for an app: its secrets are staged, sealed', async () => {
  const appName = newName('app')
  assert.equal(
    (await client.call('POST /v1/apps', '/v1/apps?wait=true', { app_name: appName, org_slug: acme.slug })).status,
    201,
  )
  const app = (await client.call('GET /v1/apps/{name}', `/v1/apps/${appName}`)).value
  assert.equal(app['name'], appName)
  await client.get('anonymous app', { appName })
  const before = (await client.get('GetAppWithAddons', { name: appName, addOnType: 'tigris' }))['app'] as Data
  assert.deepEqual(before['addOns'], { nodes: [] })
  // With no machines and deployed, flyctl fails once the bucket is made.
  assert.equal(before['deployed'], false)
  const { name, environment } = await create({ appId: String(before['id']) })
  const { organization } = before
  assert.equal((organization as Data)['id'], acme.id)
  assert.deepEqual(((await client.get('GetApp', { name: appName }))['app'] as Data)['secrets'], [])
  const secrets = Object.entries(environment).map(([key, value]) => ({ key, value }))
  const input = { appId: appName, clientMutationId: '', replaceAll: false, secrets }
  assert.deepEqual(await client.get('SetSecrets', { input }), { setSecrets: { release: null } })
  const machines = await client.call('GET /v1/apps/{name}/machines', `/v1/apps/${appName}/machines`)
  assert.deepEqual([machines.status, machines.value], [200, []])
  const after = (await client.get('GetAppWithAddons', { name: appName, addOnType: 'tigris' }))['app'] as Data
  assert.deepEqual(
    ((after['addOns'] as Data)['nodes'] as Data[]).map((each) => each['name']),
    [name],
  )
  assert.deepEqual(new Set((after['secrets'] as Data[]).map((each) => each['name'])), new Set(Object.keys(environment)))
  const kept = await fly().accounts.apps.get(appName)
  assert.equal(JSON.stringify(kept).includes(environment['AWS_SECRET_ACCESS_KEY'] ?? ''), false)
  assert.deepEqual(new Map(Object.entries(environment)), await fly().accounts.apps.openSecrets(appName))
  const again = newBucket({ appId: appName, organizationId: acme.id, name: newName() })
  assert.match(await client.refused('CreateExtension', again), /^ALREADY_EXISTS: .*already exists for app/)
})

test('storage update sends back all that it was shown', async () => {
  const { name, environment } = await create({ name: newName() })
  await clientOf(environment).send(new PutObjectCommand({ Bucket: name, Key: 'a', Body: 'x' }))
  const read = async (): Promise<number> => (await fetch(`${fly().storage}/${name}/a`)).status
  const update = async (change: Data): Promise<Data> => {
    const { id, options } = await addOnOf(name)
    const all = { ...(options as Data), ...change }
    const variables = { addOnId: id, planId: 'default', readRegions: [], options: all, metadata: all }
    await client.get('UpdateAddOn', variables)
    return (await addOnOf(name))['options'] as Data
  }
  assert.equal(await read(), 403)
  assert.equal((await update({ public: true }))['public'], true)
  assert.equal(await read(), 200)
  const shadow = {
    access_key: 'AK',
    secret_key: 'CANARY',
    endpoint: 'https://s3.example.com',
    name: 'old',
    region: 'auto',
    write_through: true,
  }
  const shown = await update({ shadow_bucket: shadow, public: false })
  assert.deepEqual(shown['shadow_bucket'], { ...shadow, secret_key: '********' })
  assert.equal(await read(), 403)
  await update({ accelerate: true })
  const { provisioning } = fly().accounts
  const [kept] = (await provisioning.list(acme.id)).filter(({ bucket }) => bucket === name)
  assert.ok(kept !== undefined)
  assert.equal(await provisioning.shadowSecret(kept), 'CANARY')
  assert.equal('shadow_bucket' in (await update({ shadow_bucket: {} })), false)
  assert.equal((await addOnOf(name))['metadata'], null)
})

test('V8: a create that comes again, after 502 or at once, makes no second bucket and is told the same', async () => {
  const variables = newBucket({ organizationId: acme.id })
  const count = async (): Promise<number> => (await fly().accounts.provisioning.list(acme.id)).length
  const before = await count()
  const all = await Promise.all(Array.from({ length: 4 }, () => client.get('CreateExtension', variables)))
  all.push(await client.get('CreateExtension', variables))
  assert.equal(new Set(all.map((each) => JSON.stringify(each))).size, 1)
  assert.equal(await count(), before + 1)
  // Another token's is another request.
  const other = new PlaneClient(fly().origin, await fly().tokenOf(ann))
  assert.notDeepEqual(await other.get('CreateExtension', variables), all[0])
})

test('what is refused: taken names, unknown operations, what is no query, whoever is not signed in', async () => {
  const { name } = await create({ name: newName() })
  const taken = newBucket({ organizationId: acme.id, name, options: { public: true } })
  assert.match(await client.refused('CreateExtension', taken), /^NAME_TAKEN: .*unavailable for creation/)
  assert.match(
    await client.refused('CreateExtension', newBucket({ organizationId: acme.id, name: 'No' })),
    /^INVALID_NAME: /,
  )
  assert.match(await client.refused('CreateExtension', newBucket({ organizationId: 'none' })), /^NOT_FOUND: /)
  assert.match(await client.refused('GetOrganization', { slug: 'none' }), /^NOT_FOUND: /)
  assert.match(await client.refused('GetAddOnProvider', { name: 'upstash' }), /^NOT_FOUND: /)
  const code = async (body: unknown): Promise<string> => (await client.post(body)).errors[0]?.extensions?.code ?? 'none'
  const unknown = await client.post({
    query: 'query GetRegions { platform { regions { code } } }',
    operationName: 'GetRegions',
  })
  assert.match(unknown.errors[0]?.message ?? '', /operation GetRegions/)
  assert.equal(unknown.errors[0]?.extensions?.code, 'UNHANDLED_OPERATION')
  const anonymous = await client.post({ query: 'query { platform { regions { code } } }' })
  assert.match(anonymous.errors[0]?.message ?? '', /operation platform/)
  assert.equal(await code({ query: 'mutation { createVolume(input: {}) { id } }' }), 'UNHANDLED_OPERATION')
  for (const body of [
    '',
    '{',
    '[]',
    'null',
    { query: 7 },
    { query: '{' },
    { query: `{ ${'viewer { id } '.repeat(2_000)} }` },
  ]) {
    const { data, errors } = await client.post(body)
    assert.equal(data ?? null, null)
    assert.equal(errors.length, 1, JSON.stringify(body).slice(0, 50))
  }
  for (const token of [undefined, '', 'fo1_nobody', 'fm2_x']) {
    const nobody = new PlaneClient(fly().origin, token)
    assert.match(await nobody.refused('ListAddOns', { addOnType: 'tigris' }), /^UNAUTHORIZED: /)
    assert.match(await nobody.refused('CreateExtension', newBucket({ organizationId: acme.id })), /^UNAUTHORIZED: /)
    assert.equal((await nobody.call('GET /v1/apps/{name}', '/v1/apps/any')).status, 401)
  }
})

test('lists that nest in each other end somewhere', async () => {
  const owner = await fly().makePerson('nesting')
  const { id: organization, slug } = await fly().makeOrganization('Nesting', owner)
  for (let at = 0; at < 30; at++) {
    const addOn = { id: `${at}`, name: newName(), organization, options: {}, created: 0 }
    await fly().accounts.apps.changeAddOn(addOn.name, () => addOn)
  }
  const own = new PlaneClient(fly().origin, await fly().tokenOf(owner))
  const nested = (depth: number): string =>
    depth === 0 ? 'name' : `organization { addOns(type: tigris) { nodes { ${nested(depth - 1)} } } }`
  const ask = (depth: number) =>
    own.post({
      query: `query($slug: String!) { ${nested(depth).replace('organization', 'organization(slug: $slug)')} }`,
      variables: { slug },
    })
  assert.deepEqual((await ask(2)).errors, [])
  const { data, errors } = await ask(3)
  assert.deepEqual([data, errors[0]?.extensions?.code], [null, 'LIMIT_EXCEEDED'])
})

test('terms: whoever asks has agreed', async () => {
  const { viewer } = await client.get('AgreedToProviderTos', { addOnProviderName: 'tigris' })
  assert.deepEqual(viewer, { __typename: 'User', agreedToProviderTos: true })
  await client.get('CreateTosAgreement', { providerName: 'tigris' })
})

test('V5: storage dashboard leads whoever may see it to the page of the bucket, or of the organisation', async () => {
  const { name, ssoLink } = await create({ name: newName() })
  const page = await visit({ email: ann.email, password }, ssoLink)
  assert.match(page.text, new RegExp(`<h1>${name}</h1>`))
  const { organization } = await client.get('GetExtensionSsoLink', { orgSlug: acme.slug, provider: 'tigris' })
  const all = await visit({ email: ann.email, password }, String((organization as Data)['extensionSsoLink']))
  assert.match(all.text, new RegExp(name))
  const eve = await fly().makePerson('eve', true)
  await assert.rejects(visit({ email: eve.email, password }, ssoLink), /403/)
  // What is not there sounds to her, and to whoever has not signed in, as what is another's.
  const ways = [
    'extensions/bkt-nobodys',
    'organizations/nobodys',
    `organizations/${acme.slug}`,
    `organizations/${acme.id}`,
  ]
  const heard = await Promise.all(
    ways.map(async (way) => {
      const entry = `${fly().origin}/flyio/${way}/sso`
      const { status, headers } = await fetch(entry, { redirect: 'manual' })
      const [, said] = await visit({ email: eve.email, password }, entry).then(
        ({ url }) => ['', `was let in to ${url}`],
        (error: Error) => / said (.*)/s.exec(error.message) ?? [],
      )
      return [status, headers.get('location')?.replace(/state=.*/, ''), said]
    }),
  )
  assert.match(String(heard[0]), /^303,.*authorize.*,403: /)
  for (const each of heard) assert.deepEqual(each, heard[0])
  // A callback that this browser did not begin.
  const state = `${fly().origin}/flyio/callback?code=x&state=y`
  assert.equal((await fetch(state, { headers: { cookie: 'meridian_state=z' } })).status, 400)
  assert.equal((await fetch(state, { headers: { cookie: 'meridian_state=y' } })).status, 400)
})

test('V7: sign-ins by a password, and by a browser', async () => {
  const nobody = new PlaneClient(fly().origin, undefined)
  const signIn = (attributes: Data) =>
    nobody.call('POST /api/v1/sessions', '/api/v1/sessions', { data: { attributes } })
  const wrong = await signIn({ email: ann.email, password: 'another', otp: '' })
  assert.equal(wrong.status, 403)
  const right = await signIn({ email: ann.email, password, otp: '' })
  const token = ((right.value['data'] as Data)['attributes'] as Data)['access_token']
  const signedIn = new PlaneClient(fly().origin, String(token))
  assert.equal(((await signedIn.get('anonymous viewer'))['viewer'] as Data)['email'], ann.email)
  assert.deepEqual(await signedIn.get('LogOut'), { logOut: { ok: true } })
  assert.match(await signedIn.refused('anonymous viewer'), /^UNAUTHORIZED/)

  const begin = async (more: Data) =>
    (
      await nobody.call('POST /api/v1/cli_sessions', '/api/v1/cli_sessions', {
        name: 'host',
        target: 'auth',
        signup: false,
        ...more,
      })
    ).value
  const { verifier, challenge } = newVerifier()
  const session = await begin({
    state: 's',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    redirect_port: 1,
  })
  assert.equal(session['pkce'], true)
  const redeem = (id: unknown, body: Data) =>
    nobody.call('POST /api/v1/cli_sessions/{id}/redeem', `/api/v1/cli_sessions/${String(id)}/redeem`, body)
  const visitor = { email: ann.email, password }
  assert.equal((await redeem(session['id'], { code: 'x', code_verifier: verifier })).status, 422)
  const code = await approve(visitor, String(session['auth_url']), false)
  assert.equal((await redeem(session['id'], { code: 'x', code_verifier: verifier })).status, 422)
  assert.equal((await redeem(session['id'], { code, code_verifier: newVerifier().verifier })).status, 422)
  // The code alone, without what the program kept to itself, opens nothing; nor does asking.
  assert.equal(
    (await nobody.call('GET /api/v1/cli_sessions/{id}', `/api/v1/cli_sessions/${String(session['id'])}`)).status,
    404,
  )
  const redeemed = await redeem(session['id'], { code, code_verifier: verifier })
  assert.equal(redeemed.status, 200)
  assert.equal((await redeem(session['id'], { code, code_verifier: verifier })).status, 404)
  const byBrowser = new PlaneClient(fly().origin, String(redeemed.value['access_token']))
  assert.equal(((await byBrowser.get('anonymous viewer'))['viewer'] as Data)['id'], ann.id)

  const polled = await begin({})
  assert.equal(polled['pkce'], false)
  const poll = () => nobody.call('GET /api/v1/cli_sessions/{id}', `/api/v1/cli_sessions/${String(polled['id'])}`)
  assert.equal((await poll()).status, 404)
  await approve(visitor, String(polled['auth_url']), false)
  const first = await poll()
  assert.equal(first.status, 200)
  assert.equal((await poll()).status, 404)
})

test('V7: after some wrong codes a sign-in is over', async () => {
  const nobody = new PlaneClient(fly().origin, undefined)
  const { verifier, challenge } = newVerifier()
  const body = { name: 'host', state: 's', code_challenge: challenge, code_challenge_method: 'S256' }
  const { value } = await nobody.call('POST /api/v1/cli_sessions', '/api/v1/cli_sessions', body)
  const code = await approve({ email: ann.email, password }, String(value['auth_url']), false)
  const path = `/api/v1/cli_sessions/${String(value['id'])}/redeem`
  const statuses: number[] = []
  for (let at = 0; at < 6; at++) {
    statuses.push(
      (await nobody.call('POST /api/v1/cli_sessions/{id}/redeem', path, { code: `${at}`, code_verifier: verifier }))
        .status,
    )
  }
  assert.deepEqual(statuses, [422, 422, 422, 422, 422, 404])
  assert.equal(
    (await nobody.call('POST /api/v1/cli_sessions/{id}/redeem', path, { code, code_verifier: verifier })).status,
    404,
  )
})

test('pages: forms from elsewhere are refused, and nobody is sent to another site', async () => {
  const { origin } = fly()
  const form = new URLSearchParams({ email: ann.email, password, to: '/' })
  const post = (headers: Record<string, string>) =>
    fetch(`${origin}/login`, { method: 'POST', body: form, headers, redirect: 'manual' })
  assert.equal((await post({ origin: 'https://evil.example' })).status, 403)
  assert.equal((await post({ 'sec-fetch-site': 'cross-site' })).status, 403)
  const good = await post({ origin })
  assert.equal(good.status, 303)
  assert.match(good.headers.get('set-cookie') ?? '', /HttpOnly; SameSite=Lax/)
  for (const to of ['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', '/a\r\nx: y']) {
    form.set('to', to)
    assert.equal((await post({ origin })).headers.get('location'), '/', to)
    const page = await fetch(`${origin}/login?to=${encodeURIComponent(to)}`)
    assert.match(await page.text(), /name="to" value="\/"/)
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/)
    // With `no-referrer` a browser says `null` for the origin of its forms.
    assert.equal(page.headers.get('referrer-policy'), 'same-origin')
  }
  const client = await fetch(
    `${origin}/oauth/authorize?client_id=meridian&response_type=code&redirect_uri=https://evil.example/`,
  )
  assert.equal(client.status, 400)
})

test('a browser’s session is no token of a program, and a token opens no page', async () => {
  const { secret } = await fly().accounts.tokens.create({ person: ann.id, kind: 'session', name: 'browser' })
  assert.match(await new PlaneClient(fly().origin, secret).refused('anonymous viewer'), /^UNAUTHORIZED/)
  const token = await fly().tokenOf(ann)
  const page = await fetch(`${fly().origin}/organizations/${acme.id}`, {
    headers: { cookie: `meridian_session=${token}` },
    redirect: 'manual',
  })
  assert.equal(page.status, 303)
})

test('what was made or taken away by another way is in the lists as well', async () => {
  const { accounts } = fly()
  const listed = async (): Promise<readonly unknown[]> => {
    const { addOns } = await client.get('ListAddOns', { addOnType: 'tigris' })
    return (addOns as { nodes: Data[] }).nodes.map((each) => each['name'])
  }
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    const end = Date.now() + 60_000
    while (!(await holds())) {
      assert.ok(Date.now() < end, 'the lists never followed')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const { provisioned, key } = await accounts.provisioning.provision({ organization: acme.id, options: {}, asked: '' })
  await until(async () => (await listed()).includes(provisioned.bucket))
  assert.equal((await addOnOf(provisioned.bucket))['status'], 'ready')
  const s3 = clientOf({
    AWS_ACCESS_KEY_ID: key.id,
    AWS_SECRET_ACCESS_KEY: key.secret,
    AWS_ENDPOINT_URL_S3: fly().storage,
    AWS_REGION: 'auto',
  })
  await assert.rejects(
    s3.send(new GetObjectCommand({ Bucket: provisioned.bucket, Key: 'none' })),
    /NoSuchKey|does not exist/,
  )
  await accounts.provisioning.destroy(provisioned.id)
  await until(async () => !(await listed()).includes(provisioned.bucket))
})

test('V6: a code of OAuth is good once, for the client and the address it was made for, and opens nothing', async () => {
  const { origin, accounts } = fly()
  const { name, ssoLink } = await create({ name: newName() })
  const { secret } = await accounts.tokens.create({ person: ann.id, kind: 'session', name: 'browser' })
  const callback = `${origin}/flyio/callback`
  const code = async (): Promise<string> => {
    const query = new URLSearchParams({
      client_id: 'meridian',
      response_type: 'code',
      redirect_uri: callback,
      state: 's',
    })
    const response = await fetch(`${origin}/oauth/authorize?${query}`, {
      headers: { cookie: `meridian_session=${secret}` },
      redirect: 'manual',
    })
    const to = new URL(response.headers.get('location') ?? '')
    assert.equal(to.searchParams.get('state'), 's')
    return to.searchParams.get('code') ?? ''
  }
  const right = {
    client_id: 'meridian',
    client_secret: await accounts.secrets.get('fly oauth'),
    grant_type: 'authorization_code',
    redirect_uri: callback,
  }
  const redeem = async (fields: Record<string, string>) =>
    await fetch(`${origin}/oauth/token`, { method: 'POST', body: new URLSearchParams({ ...right, ...fields }) })
  assert.equal((await redeem({ code: await code(), client_secret: 'x' })).status, 401)
  assert.equal((await redeem({ code: await code(), redirect_uri: `${callback}x` })).status, 400)
  assert.equal((await redeem({ code: 'x' })).status, 400)
  const good = await code()
  const both = await Promise.all([redeem({ code: good }), redeem({ code: good })])
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 400])
  const answer = both.find(({ status }) => status === 200)
  const { access_token: token } = (await (answer ?? new Response('{}')).json()) as { access_token: string }
  const info = await fetch(`${origin}/oauth/token/info`, { headers: { authorization: `Bearer ${token}` } })
  const told = (await info.json()) as Data
  assert.equal(told['user_id'], ann.id)
  assert.deepEqual(told['organizations'], [{ id: acme.id, role: 'admin' }])
  assert.match(await new PlaneClient(origin, token).refused('anonymous viewer'), /^UNAUTHORIZED/)
  assert.equal(
    (await fetch(ssoLink, { headers: { cookie: `meridian_session=${token}` }, redirect: 'manual' })).status,
    303,
  )
  assert.ok(name.length > 0)
})

test('all that flyctl is known to ask was asked here', () => {
  assert.deepEqual(
    knownQuestions.filter((each) => !asked.has(each)),
    [],
  )
})
