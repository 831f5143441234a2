import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Organization, Person } from '#src/model/organization.ts'
import { useFly } from './harness.ts'
import { asked, type Data, PlaneClient } from './plane-client.ts'
import { runningQuestions } from './questions.ts'

/** What flyctl asks of an app that runs already, in its order, without flyctl. */

let folder: string
let ann: Person
let acme: Organization
let client: PlaneClient
/** Reads only. */
let reader: PlaneClient
let stranger: PlaneClient

const fly = useFly(async ({ makePerson, makeOrganization, tokenOf, origin }) => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-running-'))
  ann = await makePerson('ann')
  acme = await makeOrganization('Acme', ann)
  client = new PlaneClient(origin, await tokenOf(ann))
  reader = new PlaneClient(origin, await tokenOf(ann, { isReadOnly: true }))
  const eve = await makePerson('eve')
  await makeOrganization('Others', eve)
  stranger = new PlaneClient(origin, await tokenOf(eve))
})
after(() => rm(folder, { recursive: true, force: true }))

async function running(name: string, to: 'env-file' | 'kubernetes' = 'env-file') {
  const { apps, machines } = fly().accounts
  await apps.create(acme.id, name)
  const place = { to, file: join(folder, `${name}.secrets`), namespace: 'prod' }
  const { id } = await machines.add(name, place)
  const path = `/v1/apps/${name}/machines/${id}`
  return { id, path, file: place.file, lease: `${path}/lease?ttl=13` }
}

const nonceOf = ({ value }: { readonly value: Data }): Record<string, string> => ({
  'fly-machine-lease-nonce': String((value['data'] as Data)['nonce']),
})

test('secrets of an app that runs are deployed: release, lease, update, wait, and all of it ends', async () => {
  const [appName, question] = ['running-app', 'GET /v1/apps/{name}/machines']
  const { id, path, file, lease } = await running(appName)
  const list = async () => (await client.call(question, `/v1/apps/${appName}/machines`)).value as unknown as Data[]
  const app = (await client.call('GET /v1/apps/{name}', `/v1/apps/${appName}`)).value
  assert.deepEqual([app['status'], app['machine_count']], ['deployed', 1])
  assert.equal(((await client.get('GetApp', { name: appName }))['app'] as Data)['deployed'], true)
  const secrets = [{ key: 'BUCKET_NAME', value: "it's one" }]
  await client.get('SetSecrets', { input: { appId: appName, clientMutationId: '', replaceAll: false, secrets } })
  await assert.rejects(readFile(file), 'not before flyctl says so')

  const [machine] = await list()
  assert.ok(machine !== undefined)
  const { metadata } = machine['config'] as Data
  // What flyctl takes for one of its own.
  assert.deepEqual(metadata, { fly_platform_version: 'v2', fly_process_group: 'app' })
  assert.deepEqual([machine['id'], machine['state'], machine['host_status']], [id, 'started', 'ok'])
  const release = async () =>
    ((await client.get('FlyctlConfigCurrentRelease', { appName }))['app'] as Data)['currentReleaseUnprocessed']
  assert.equal(await release(), null)
  assert.deepEqual(((await client.get('LatestImage', { appName }))['app'] as Data)['currentReleaseUnprocessed'], null)
  const begin = () =>
    client.call('POST /api/v1/releases', '/api/v1/releases', {
      app_name: appName,
      build_id: 0,
      definition: {},
      image: 'x',
      strategy: 'ROLLING',
    })
  const begun = await begin()
  assert.equal(begun.status, 201)
  const { id: releaseId, created_at: created } = begun.value['release'] as Data
  assert.ok(!Number.isNaN(Date.parse(String(created))))
  const setRelease = (status: string) =>
    client.call('PATCH /api/v1/releases/{id}', `/api/v1/releases/${String(releaseId)}`, { status, metadata: null })
  assert.equal((await setRelease('running')).value['in_progress'], true)

  const taken = await client.call('POST /v1/apps/{name}/machines/{id}/lease', lease)
  assert.equal(taken.status, 201)
  assert.equal(taken.value['status'], 'success')
  const nonce = nonceOf(taken)
  const again = await client.call('POST /v1/apps/{name}/machines/{id}/lease', lease, undefined, nonce)
  assert.deepEqual(nonceOf(again), nonce, 'a lease that is kept is the same')
  const config = { ...(machine['config'] as Data), env: { KEPT: 'yes' } }
  const updated = await client.call('POST /v1/apps/{name}/machines/{id}', path, { config }, nonce)
  assert.equal(updated.status, 200)
  assert.notEqual(updated.value['instance_id'], machine['instance_id'])
  const wait = (state: string) =>
    client.call('GET /v1/apps/{name}/machines/{id}/wait', `${path}/wait?state=${state}&timeout=60`)
  assert.equal((await wait('started')).status, 200)
  assert.equal((await wait('destroyed')).status, 408)
  const seen = await client.call('GET /v1/apps/{name}/machines/{id}', path)
  assert.deepEqual(seen.value['config'], config)
  assert.equal(await readFile(file, 'utf8'), "BUCKET_NAME='it'\\''s one'\n")
  assert.equal((await stat(file)).mode & 0o077, 0)
  const left = await client.call('DELETE /v1/apps/{name}/machines/{id}/lease', `${path}/lease`, undefined, nonce)
  assert.equal(left.status, 200)
  assert.equal((await setRelease('complete')).value['stable'], true)
  const { imageRef } = ((await client.get('LatestImage', { appName }))['app'] as Data)[
    'currentReleaseUnprocessed'
  ] as Data
  assert.match(String(imageRef), /^[a-z.]+\/running-app:/)
  assert.deepEqual(
    (await client.call('GET /v1/apps/{name}/ip_assignments', `/v1/apps/${appName}/ip_assignments`)).value,
    { ips: [] },
  )
  assert.equal((await begin()).status, 201)
  assert.equal((await setRelease('complete')).status, 404, 'of one that another followed')
  assert.deepEqual(
    (await readdir(folder)).filter((each) => each.endsWith('.tmp')),
    [],
  )
})

test('U9: while somebody has the lease of a machine, nobody else changes it or gets it', async () => {
  const { path, file, lease } = await running('leased-app')
  const take = (headers = {}) => client.call('POST /v1/apps/{name}/machines/{id}/lease', lease, undefined, headers)
  const both = await Promise.all([take(), take()])
  assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409])
  const mine = both.find(({ status }) => status === 201)
  assert.ok(mine !== undefined)
  const update = (headers = {}) => client.call('POST /v1/apps/{name}/machines/{id}', path, { config: {} }, headers)
  const wrong = { 'fly-machine-lease-nonce': 'another' }
  assert.equal((await update()).status, 409)
  assert.equal((await update(wrong)).status, 409)
  await assert.rejects(readFile(file), 'nothing was delivered')
  const end = (headers = {}) =>
    client.call('DELETE /v1/apps/{name}/machines/{id}/lease', `${path}/lease`, undefined, headers)
  assert.equal((await end(wrong)).status, 409)
  const shown = await client.call('GET /v1/apps/{name}/machines/{id}/lease', `${path}/lease`)
  assert.equal((shown.value['data'] as Data)['nonce'], '', 'the nonce is whose it is')
  assert.equal((await update(nonceOf(mine))).status, 200)
  assert.equal((await end(nonceOf(mine))).status, 200)
  assert.equal((await take()).status, 201)
})

test('who may not, what is not there, and what cannot be delivered', async () => {
  const { id, path, file, lease } = await running('guarded-app', 'kubernetes')
  const ways = [
    ['GET', path],
    ['POST', path, { config: {} }],
    ['POST', lease],
    ['DELETE', `${path}/lease`],
    ['GET', `${path}/wait`],
    ['POST', '/api/v1/releases', { app_name: 'guarded-app' }],
    ['PATCH', '/api/v1/releases/guarded-app-1', { status: 'complete' }],
  ] as const
  for (const [method, at, body] of ways) {
    assert.equal((await stranger.call(`${method} `, at, body)).status, 404, `${method} ${at}`)
    assert.equal((await new PlaneClient(fly().origin, undefined).call(`${method} `, at, body)).status, 401)
    if (method !== 'GET') assert.equal((await reader.call(`${method} `, at, body)).status, 403, `${method} ${at}`)
  }
  assert.equal((await client.call('GET ', '/v1/apps/guarded-app/machines/00000000000000')).status, 404)
  const { machines } = fly().accounts
  await assert.rejects(machines.add('guarded-app', { to: 'env-file', file, namespace: '' }), /go to .* already/)
  const tooLarge = { config: { env: { A: 'x'.repeat(10_000) } } }
  assert.equal((await client.call('POST ', path, tooLarge)).status, 422)
  await assert.rejects(readFile(file), 'nothing was delivered')
  assert.equal((await client.call('POST ', path, { config: {} })).status, 200)
  assert.match(await readFile(file, 'utf8'), /kind: Secret.*"guarded-app-secrets".*"prod"/s)
  await machines.remove('guarded-app', id)
  assert.equal((await client.call('GET ', path)).status, 404)
  const lost = await machines.add('guarded-app', { to: 'env-file', file: join(folder, 'no/such/place'), namespace: '' })
  const failed = await client.call('POST ', `/v1/apps/guarded-app/machines/${lost.id}`, { config: {} })
  assert.equal(failed.status, 422)
  assert.doesNotMatch(JSON.stringify(failed.value), /no\/such/)
})

test('all that flyctl is known to ask of an app that runs was asked here', () => {
  assert.deepEqual(
    runningQuestions.filter((each) => !asked.has(each)),
    [],
  )
})
