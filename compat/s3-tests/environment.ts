import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { attempt, run } from '#compat/commands.ts'
import { type Person, person } from '#compat/people.ts'
import { pythonEnvironment } from '#compat/tools.ts'
import { type CloudSettings, cloudSection } from './cloud.ts'
import type { WebIdentitySettings } from './issuer.ts'

/** Where the suite comes from, what it runs on, and whom it believes to know. */

const here = import.meta.dirname

/** Copies the suite at the pinned commit from a checkout, a git directory or a plain directory; says what it took. */
export async function unpackSuite(checkout: string, target: string): Promise<string> {
  const pinned = (await readFile(join(here, 'pinned-commit'), 'utf8')).trim()
  await mkdir(target, { recursive: true })
  const git = (...args: string[]) => attempt('git', ['-C', checkout, ...args])
  const head = await git('rev-parse', 'HEAD')
  if (head.code !== 0) {
    if (!existsSync(join(checkout, 's3tests'))) throw new Error(`${checkout} holds no ceph/s3-tests`)
    await cp(checkout, target, { recursive: true })
    return `WARNING: ${checkout} is no git checkout; nobody knows whether it is the pinned commit ${pinned}`
  }
  const has = await git('cat-file', '-e', `${pinned}^{commit}`)
  const commit = has.code === 0 ? pinned : head.stdout.trim()
  const archive = join(target, '..', 'suite.tar')
  await run('git', ['-C', checkout, 'archive', '--output', archive, commit])
  await run('tar', ['-xf', archive, '-C', target])
  await rm(archive)
  return commit === pinned
    ? `commit ${pinned}`
    : `WARNING: the checkout lacks the pinned commit ${pinned}; this is ${commit}, and expected-failures.txt may not fit`
}

/** Gives the Python that has what the suite asks for. */
export async function suitePython(suite: string): Promise<string> {
  const asked = (await readFile(join(suite, 'requirements.txt'), 'utf8'))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const constraints = await readFile(join(here, 'constraints.txt'), 'utf8')
  const pins = constraints.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return join(await pythonEnvironment('s3-tests', [...asked, ...pins]), 'python')
}

const extras = join('s3', '2006-03-01', 'service-2.sdk-extras.json')

/** Puts ceph's additions to boto3 where botocore looks for them in this home: instead of its own, so those go with them. */
export async function addSdkExtras(file: string, home: string, python: string): Promise<void> {
  const where = 'import os, botocore; print(os.path.dirname(botocore.__file__))'
  const own = join((await run(python, ['-c', where])).trim(), 'data', extras)
  const target = join(home, '.aws', 'models', extras)
  await mkdir(dirname(target), { recursive: true })
  const [given, standing] = await Promise.all([file, own].map(async (each) => JSON.parse(await readFile(each, 'utf8'))))
  await writeFile(target, JSON.stringify(joined(standing, given)))
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What both say: of objects their names together, otherwise what the second says. */
function joined(one: unknown, other: unknown): unknown {
  if (!isRecord(one) || !isRecord(other)) return other ?? one
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return Object.fromEntries([...names].map((name) => [name, joined(one[name], other[name])]))
}

const sections = ['s3 main', 's3 alt', 's3 tenant', 'iam', 'iam root', 'iam alt root'] as const

/**
 * As the suite knows them: two that are accounts by themselves, and others that share the IAM names of a tenant, among whom
 * one administrates.
 */
const standings: Partial<Record<(typeof sections)[number], Pick<Person, 'tenant' | 'isAdministrator'>>> = {
  's3 main': { tenant: 'default' },
  's3 alt': { tenant: 'default' },
  's3 tenant': { tenant: 'testx' },
  iam: { tenant: 'default', isAdministrator: true },
}

export const suitePeople: readonly Person[] = sections.map((section) => ({
  ...person(section.replaceAll(' ', '-')),
  ...standings[section],
}))

/** Keys for SSE-KMS that the suite names. */
export const suiteEncryptionKeys = ['testkey-1', 'testkey-2'] as const

export interface SuiteSettings {
  readonly endpoint: string
  readonly identity?: WebIdentitySettings
  readonly cloud?: CloudSettings
}

/** Writes the suite's settings for one server. */
export async function writeSettings(file: string, { endpoint, identity, cloud }: SuiteSettings): Promise<void> {
  const { hostname, port } = new URL(endpoint)
  const lines = [
    ...['[DEFAULT]', `host = ${hostname}`, `port = ${port}`, 'is_secure = False', 'ssl_verify = False'],
    ...['[fixtures]', 'bucket prefix = meridian-{random}-'],
  ]
  for (const [index, section] of sections.entries()) {
    const who = suitePeople[index] ?? person(section)
    lines.push(`[${section}]`, `display_name = ${who.name}`, `user_id = ${who.id}`, `email = ${who.email}`)
    lines.push(`access_key = ${who.accessKey}`, `secret_key = ${who.secretKey}`)
    // Those that take objects of any size at any age; see lifecycleForTests.
    if (section === 's3 main') lines.push('storage_classes = GLACIER, DEEP_ARCHIVE', 'lc_debug_interval = 10')
    if (section === 's3 tenant') lines.push('tenant = testx')
    const [first, second] = suiteEncryptionKeys
    if (section === 's3 main') lines.push(`kms_keyid = ${first}`, `kms_keyid2 = ${second}`)
    if (section === 's3 main') lines.push('api_name = eu-central-1')
    if (section === 's3 main') lines.push('rgw_restore_debug_interval = 10', 'rgw_restore_processor_period = 5')
  }
  if (identity !== undefined) {
    const { token, userToken, aud, sub, azp, thumbprint, realm } = identity
    lines.push('[webidentity]', `token = ${token}`, `user_token = ${userToken}`, `aud = ${aud}`, `sub = ${sub}`)
    lines.push(`azp = ${azp}`, `thumbprint = ${thumbprint}`, `KC_REALM = ${realm}`)
  }
  if (cloud !== undefined) lines.push(...cloudSection(cloud))
  await writeFile(file, `${lines.join('\n')}\n`)
}
