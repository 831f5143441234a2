import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { type CommandDef, runCommand } from 'citty'
import { appsCommand } from '../../bin/apps.ts'
import { organizationsCommand } from '../../bin/organizations.ts'
import { peopleCommand, tokensCommand } from '../../bin/people.ts'
import { output } from '../../bin/printing.ts'
import { storageCommand } from '../../bin/storage.ts'
import { PlaneClient } from '../fly/plane-client.ts'
import { Command } from './command.ts'

/** People, organizations, tokens, storage and apps on the command line, beside a server of two processes. */

const folder = mkdtempSync(join(tmpdir(), 'meridian-accounts-'))
const data = join(folder, 'data')
const passwordFile = join(folder, 'password')
const password = 'a password for the command line'
let server: Command
let endpoint = ''
let flyOrigin = ''

const commands: Readonly<Record<string, CommandDef>> = {
  people: peopleCommand as CommandDef,
  tokens: tokensCommand as CommandDef,
  organizations: organizationsCommand as CommandDef,
  storage: storageCommand as CommandDef,
  apps: appsCommand as CommandDef,
}

/** In this process, one after the other: a process each would cost more than all the rest. */
let turn: Promise<unknown> = Promise.resolve()
async function run(words: readonly string[]): Promise<string> {
  const [name = '', ...rest] = words
  const command = commands[name]
  assert.ok(command !== undefined)
  let text = ''
  const mine = turn.then(async () => {
    output.write = (piece) => {
      text += piece
    }
    await runCommand(command, { rawArgs: [...rest, '--data', data] })
  })
  turn = mine.catch(() => undefined)
  await mine
  return text
}

const good = (...words: string[]): Promise<string> => run(words)

const read = async <Value>(...words: string[]): Promise<Value> => JSON.parse(await good(...words, '--json')) as Value

const refused = (why: RegExp, ...words: string[]): Promise<void> => assert.rejects(run(words), why)

before(async () => {
  writeFileSync(passwordFile, `${password}\n`)
  server = new Command(['serve', '--port', '0', '--fly-port', '0', '--data', data, '--workers', '2'])
  endpoint = await server.ready()
  process.env['MERIDIAN_PUBLIC_URL'] = endpoint
  flyOrigin = /^fly (http:\/\/\S+)$/m.exec(server.output)?.[1] ?? ''
})

after(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('people, organizations, roles and tokens; a token is seen by the running server at once', async () => {
  const words = ['people', 'create', '--email', 'Ann@example.com', '--password-file', passwordFile]
  const [{ id }] = await Promise.all([
    read<{ id: string }>(...words),
    good('people', 'create', '--email', 'bob@example.com', '--name', 'Bob'),
  ])
  await good('organizations', 'create', '--name', 'Acme', '--slug', 'acme', '--owner', 'ann@example.com')
  const [made] = await Promise.all([
    read<{ id: string; token: string }>(
      'tokens',
      'create',
      '--email',
      'ann@example.com',
      '--name',
      'ci',
      '--days',
      '1',
    ),
    good('organizations', 'role', '--organization', 'acme', '--email', 'bob@example.com', '--role', 'read-only'),
    good('organizations', 'quota', '--organization', 'acme', '--buckets', '3'),
  ])
  const client = new PlaneClient(flyOrigin, made.token)
  assert.equal(((await client.get('anonymous viewer'))['viewer'] as { id: string }).id, id)
  const [members, [listed], tokens] = await Promise.all([
    read<{ email: string; role: string }[]>('organizations', 'members', '--organization', 'acme'),
    read<{ slug: string; buckets: number }[]>('organizations', 'list'),
    good('tokens', 'list', '--email', 'ann@example.com'),
    refused(
      /keeps an owner/,
      'organizations',
      'role',
      '--organization',
      'acme',
      '--email',
      'ann@example.com',
      '--role',
      'member',
    ),
  ])
  assert.deepEqual(members.map(({ email, role }) => `${email} ${role}`).sort(), [
    'ann@example.com owner',
    'bob@example.com read-only',
  ])
  assert.deepEqual([listed?.slug, listed?.buckets], ['acme', 3])
  assert.ok(!tokens.includes(made.token))
  await good('tokens', 'delete', '--email', 'ann@example.com', '--id', made.id)
  assert.match(await client.refused('anonymous viewer'), /^UNAUTHORIZED/)
})

test('storage: create, list, status, update, destroy; what it gives opens the bucket', async () => {
  const given = await read<Record<string, string>>(
    'storage',
    'create',
    '--organization',
    'acme',
    '--name',
    'command-bucket',
  )
  assert.equal(Object.keys(given).length, 5)
  assert.equal(given['AWS_ENDPOINT_URL_S3'], endpoint)
  const client = new S3Client({
    endpoint,
    region: 'auto',
    forcePathStyle: true,
    credentials: {
      accessKeyId: given['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: given['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
  })
  const object = { Bucket: 'command-bucket', Key: 'a' }
  await client.send(new PutObjectCommand({ ...object, Body: 'x' }))
  const open = async () => (await fetch(`${endpoint}/command-bucket/a`)).status
  assert.equal(await open(), 403)
  const update = ['storage', 'update', '--name', 'command-bucket']
  const after = await read<Record<string, unknown>>(...update, '--public', '--domain', 'www.example.com')
  assert.deepEqual([after['public'], after['domain']], [true, 'www.example.com'])
  assert.equal(await open(), 200)
  const [status, rows] = await Promise.all([
    read<Record<string, unknown>>('storage', 'status', '--name', 'command-bucket'),
    read<{ name: string; organization: string }[]>('storage', 'list'),
    refused(/not empty/i, 'storage', 'destroy', '--name', 'command-bucket'),
    refused(/taken|unavailable|exists/i, 'storage', 'create', '--organization', 'acme', '--name', 'command-bucket'),
  ])
  assert.deepEqual([status['status'], status['public'], status['domain']], ['ready', true, 'www.example.com'])
  assert.deepEqual(
    rows.map(({ name, organization }) => `${name} ${organization}`),
    ['command-bucket acme'],
  )
  assert.equal(await (await client.send(new GetObjectCommand(object))).Body?.transformToString(), 'x')
  await client.send(new DeleteObjectCommand(object))
  client.destroy()
  await good('storage', 'destroy', '--name', 'command-bucket')
  assert.deepEqual(await read('storage', 'list'), [])
  const { code, errors } = await new Command(['storage', 'destroy', '--name', 'command-bucket', '--data', data]).ended
  assert.deepEqual([code, errors], [1, 'meridian: no bucket command-bucket was made by `storage create` or by Fly\n'])
})

/** Fly's own API, as far as secrets go. */
async function playFly(): Promise<{
  url: string
  bodies: unknown[]
  headers: unknown[]
  close(): void
  answer: object
}> {
  const play = {
    url: '',
    bodies: [] as unknown[],
    headers: [] as unknown[],
    close: () => {},
    answer: { data: { setSecrets: { release: null } } } as object,
  }
  const api = createServer((request, response) => {
    void buffer(request).then((body) => {
      play.bodies.push(JSON.parse(body.toString()))
      play.headers.push(request.headers.authorization)
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(play.answer))
    })
  })
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve))
  play.url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`
  play.close = () => {
    api.closeAllConnections()
    api.close()
  }
  return play
}

test('apps: secrets are handed to a file, to Kubernetes and to Fly', async () => {
  await good('apps', 'create', '--name', 'command-app', '--organization', 'acme')
  const { token } = await read<{ token: string }>('tokens', 'create', '--email', 'ann@example.com', '--name', 'apps')
  const client = new PlaneClient(flyOrigin, token)
  const secrets = [
    { key: 'PLAIN', value: 'abc-123' },
    { key: 'ODD', value: `it's "a" $word` },
  ]
  await client.get('SetSecrets', { input: { appId: 'command-app', clientMutationId: '', replaceAll: false, secrets } })
  const file = join(folder, 'app.env')
  const deliver = ['apps', 'deliver', '--name', 'command-app', '--to'] as const
  const [[app], manifest] = await Promise.all([
    read<{ name: string; secrets: string }[]>('apps', 'list', '--organization', 'acme'),
    good(...deliver, 'kubernetes', '--namespace', 'web', '--file', '-'),
    good(...deliver, 'env-file', '--file', file),
  ])
  assert.deepEqual([app?.name, app?.secrets], ['command-app', 'PLAIN,ODD'])
  assert.equal(readFileSync(file, 'utf8'), `PLAIN=abc-123\nODD='it'\\''s "a" $word'\n`)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(
    manifest,
    'apiVersion: v1\nkind: Secret\nmetadata:\n  name: "command-app-secrets"\n  namespace: "web"\ntype: Opaque\ndata:\n' +
      `  PLAIN: ${Buffer.from('abc-123').toString('base64')}\n  ODD: ${Buffer.from(`it's "a" $word`).toString('base64')}\n`,
  )
  const fly = await playFly()
  try {
    const words = [...deliver, 'fly', '--fly-app', 'there', '--fly-api', fly.url]
    delete process.env['FLY_API_TOKEN']
    await refused(/FLY_API_TOKEN/, ...words)
    process.env['FLY_API_TOKEN'] = 'fly-token'
    await good(...words)
    const [body] = fly.bodies as { variables: { input: { appId: string; secrets: unknown } } }[]
    assert.deepEqual([body?.variables.input.appId, body?.variables.input.secrets], ['there', secrets])
    assert.deepEqual(fly.headers, ['Bearer fly-token'])
    fly.answer = { data: null, errors: [{ message: 'Could not find App' }] }
    await refused(/Could not find App/, ...words)
  } finally {
    fly.close()
  }
})

test('secrets of Fly that are too short end the start with what is wrong', async () => {
  const file = join(folder, 'secrets')
  writeFileSync(file, 'short\n')
  const words = ['serve', '--port', '0', '--fly-port', '0', '--workers', '1', '--fly-provider-secret-file', file]
  const { code, errors } = await new Command([...words, '--data', join(folder, 'refused')]).ended
  assert.equal(code, 2)
  assert.match(errors, /bad settings: .*16 characters/)
})
