import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { S3Client } from '@aws-sdk/client-s3'
import { loadConfig } from '#src/config/load.ts'
import type { Organization, Person, Role } from '#src/model/organization.ts'
import type { OpenNode } from '#src/open.ts'
import type { Accounts } from '#src/service/accounts/open.ts'
import { openLog } from '#src/telemetry/log.ts'
import { startNode } from '../../bin/node.ts'
import { metadataSettings } from '../support/foundationdb.ts'

/** A whole node with Fly's side of it, in this process. */
export interface FlyHarness {
  readonly accounts: Accounts
  readonly node: OpenNode
  /** Of Fly's side. */
  readonly origin: string
  /** Of S3. */
  readonly storage: string
  readonly secrets: readonly [string, string]
  /** Rewrites the file of the secrets that Fly signs with. */
  writeSecrets(secrets: readonly string[]): Promise<void>
  /** With `password`, where they are to sign in by it: hashing takes its time. */
  makePerson(name: string, hasPassword?: boolean): Promise<Person>
  makeOrganization(name: string, owner?: Person): Promise<Organization>
  /** A token of somebody who is in the organisation in that role. */
  tokenOf(person: Person, options?: { isReadOnly?: boolean; organization?: string }): Promise<string>
  join(organization: Organization, person: Person, role: Role): Promise<void>
  close(): Promise<void>
}

export const password = 'a password that is long'

export async function openFlyHarness(flags: Readonly<Record<string, string>> = {}): Promise<FlyHarness> {
  const data = await mkdtemp(join(tmpdir(), 'meridian-fly-'))
  const file = join(data, 'provider-secrets')
  const secrets = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')] as const
  const writeSecrets = (lines: readonly string[]): Promise<void> => writeFile(file, `${lines.join('\n')}\n`)
  await writeSecrets(secrets)
  const own = { data: join(data, 'data'), port: '0', flyPort: '0', flyProviderSecretFile: file, workers: '1' }
  const config = loadConfig({ ...own, ...metadataSettings(), ...flags }, {})
  const started = await startNode(config, openLog('error'), true)
  const { accounts } = started.node
  assert.ok(started.flyOrigin !== undefined)
  return {
    accounts,
    node: started.node,
    origin: started.flyOrigin,
    storage: `http://127.0.0.1:${started.port}`,
    secrets,
    writeSecrets,
    makePerson: (name, hasPassword = false) =>
      accounts.people.create({
        email: `${name}-${randomBytes(4).toString('hex')}@example.com`,
        name,
        ...(hasPassword && { password }),
      }),
    makeOrganization: (name, owner) =>
      accounts.organizations.create({ name, ...(owner !== undefined && { owner: owner.id }) }),
    tokenOf: async (person, options = {}) =>
      (await accounts.tokens.create({ person: person.id, kind: 'token', name: 'test', ...options })).secret,
    join: (organization, person, role) => accounts.organizations.setRole(organization.id, person.id, role),
    close: async () => {
      await started.stop()
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** One for all the tests of a file; `prepare` runs before them. */
export function useFly(
  prepare: (harness: FlyHarness) => Promise<void> = async () => {},
  flags: Readonly<Record<string, string>> = {},
): () => FlyHarness {
  let opened: FlyHarness | undefined
  before(async () => {
    opened = await openFlyHarness(flags)
    await prepare(opened)
  })
  after(() => opened?.close())
  return () => {
    if (opened === undefined) throw new Error('the harness is not open yet')
    return opened
  }
}

export interface JsonAnswer {
  readonly status: number
  readonly value: Record<string, unknown>
  readonly headers: Headers
}

export async function answerOf(response: Response): Promise<JsonAnswer> {
  const text = await response.text()
  return { status: response.status, value: text === '' ? {} : JSON.parse(text), headers: response.headers }
}

const encodings = ['hex', 'HEX', 'base64', 'base64url', 'sha256=hex'] as const
export type SignatureForm = (typeof encodings)[number]

/** A call of Fly's, put together by hand and not by the code under test. */
export interface FlyCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly fields?: Record<string, unknown>
  readonly secret: string
  readonly form?: SignatureForm
  /** Instead of what is signed. */
  readonly signature?: string | undefined
  readonly headers?: Record<string, string>
}

export function signedForm(secret: string, bytes: string, form: SignatureForm = 'hex'): string {
  const digest = createHmac('sha256', secret).update(bytes).digest()
  if (form === 'HEX') return digest.toString('hex').toUpperCase()
  if (form === 'sha256=hex') return `sha256=${digest.toString('hex')}`
  return digest.toString(form)
}

/** The bytes of a call: a body, or a query. */
export function bytesOf(origin: string, { method, path, fields = {} }: FlyCall): string {
  const timestamp = Math.floor(Date.now() / 1000)
  const all = { timestamp, nonce: randomBytes(16).toString('hex'), url: `${origin}${path}`, ...fields }
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  if (method === 'POST' || method === 'PATCH') return JSON.stringify(given)
  return new URLSearchParams(
    Object.entries(given).map(([name, value]) => [name, String(value)] as [string, string]),
  ).toString()
}

export async function sendBytes(origin: string, call: FlyCall, bytes: string): Promise<JsonAnswer> {
  const isBody = call.method === 'POST' || call.method === 'PATCH'
  const signature = 'signature' in call ? call.signature : signedForm(call.secret, bytes, call.form)
  const response = await fetch(`${origin}${call.path}${isBody ? '' : `?${bytes}`}`, {
    method: call.method,
    headers: { ...(signature !== undefined && { 'x-signature': signature }), ...call.headers },
    ...(isBody && { body: bytes }),
    redirect: 'manual',
  })
  return await answerOf(response)
}

export const callFly = (origin: string, call: FlyCall): Promise<JsonAnswer> =>
  sendBytes(origin, call, bytesOf(origin, call))

/** A client made of what an app is given. */
export function clientOf(config: Record<string, string>): S3Client {
  const client = new S3Client({
    endpoint: config['AWS_ENDPOINT_URL_S3'] ?? '',
    region: config['AWS_REGION'] ?? '',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: {
      accessKeyId: config['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: config['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
  })
  after(() => client.destroy())
  return client
}

export const newName = (stem = 'bucket'): string => `${stem}-${randomBytes(6).toString('hex')}`
