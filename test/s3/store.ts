import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before } from 'node:test'
import { S3Client, type S3ServiceException } from '@aws-sdk/client-s3'
import { authenticator } from '#gateway/auth/authenticate.ts'
import { allOperations } from '#gateway/operations/index.ts'
import { pipeline } from '#gateway/pipeline.ts'
import { queryApis } from '#gateway/query/apis.ts'
import { queryFront } from '#gateway/query/front.ts'
import { GatewayServer } from '#gateway/server.ts'
import { loadConfig } from '#src/config/load.ts'
import { openKeys, openNode } from '#src/open.ts'
import type { Services } from '#src/service/services.ts'
import { openLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'
import { metadataSettings } from '../support/foundationdb.ts'

/** A whole store with its gateway in this process, and clients of two accounts. */
export interface Harness {
  readonly services: Services
  /** Of the account `alice`, which is no administrator. */
  readonly client: S3Client
  readonly otherClient: S3Client
  readonly endpoint: string
  readonly gateway: GatewayServer
  /** The data directory. */
  readonly data: string
  /** All directories that something may be written to. */
  readonly places: readonly string[]
  readonly ids: { readonly alice: string; readonly bob: string }
  /** A fresh bucket of alice's. */
  makeBucket(options?: {
    readonly versioning?: 'enabled' | 'suspended'
    readonly hasObjectLock?: boolean
  }): Promise<string>
  close(): Promise<void>
}

export const keys = {
  alice: { accessKeyId: 'ALICEALICEALICEALICE', secretAccessKey: 'alice-secret-alice-secret-alice-secret-1' },
  bob: { accessKeyId: 'BOBBOBBOBBOBBOBBOBBO', secretAccessKey: 'bob-secret-bob-secret-bob-secret-bob-sec1' },
}

/** For SSE-KMS. */
const encryptionKeys = ['mine', 'yours'] as const

async function makeAccount(services: Services, name: keyof typeof keys): Promise<string> {
  const account = await services.identity.createAccount({ displayName: name, email: `${name}@example.com` })
  const { accessKeyId, secretAccessKey } = keys[name]
  await services.identity.createKey({ accountId: account.id, id: accessKeyId, secret: secretAccessKey })
  return account.id
}

/** `flags`: settings of the server; `hasBackground`: what goes on beside requests goes on. */
export async function openHarness(
  flags: Readonly<Record<string, string>> = {},
  hasBackground = false,
): Promise<Harness> {
  const data = await mkdtemp(join(tmpdir(), 'meridian-s3-'))
  const log = openLog('error')
  const config = loadConfig({ data, port: '0', ...metadataSettings(), ...flags }, {})
  const keyFile = openKeys(config, realWorld)
  for (const name of encryptionKeys) keyFile.createManaged(name)
  const node = await openNode({ config, world: realWorld, log, isFirst: true })
  const { services, access } = node
  const authenticate = authenticator({
    identity: services.identity,
    world: realWorld,
    options: { presignedSecondsMax: 604_800 },
  })
  if (hasBackground) node.startBackground()
  const query = queryFront({ services, authenticate, access, apis: queryApis })
  const route = pipeline({
    services,
    authenticate,
    access,
    operations: allOperations(),
    query,
    domains: services.domains,
    ...(config.acmeChallenges !== undefined && { challenges: config.acmeChallenges }),
  })
  const server = new GatewayServer({
    route,
    domains: [],
    websiteDomains: config.websiteDomains,
    contentDomains: config.contentDomains,
    log,
    logs: services.logs,
    meter: node.meter,
  })
  const { port } = await server.listen('127.0.0.1', 0)
  const endpoint = `http://127.0.0.1:${port}`
  const owner = await makeAccount(services, 'alice')
  const bob = await makeAccount(services, 'bob')
  const clientOf = (name: keyof typeof keys): S3Client =>
    new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: keys[name], maxAttempts: 1 })
  const client = clientOf('alice')
  const otherClient = clientOf('bob')

  return {
    services,
    client,
    otherClient,
    endpoint,
    gateway: server,
    data,
    places: config.metadata === 'lmdb' ? [data] : [data, dirname(config.fdbClusterFile)],
    ids: { alice: owner, bob },
    async makeBucket({ versioning, hasObjectLock = false } = {}) {
      const name = `bucket-${randomBytes(6).toString('hex')}`
      const grant = {
        grantee: { kind: 'account', id: owner, displayName: 'alice' },
        permission: 'FULL_CONTROL',
      } as const
      await services.buckets.create({ name, owner, acl: { owner, grants: [grant] }, location: '', hasObjectLock })
      if (versioning !== undefined) await services.buckets.update(name, (bucket) => ({ ...bucket, versioning }))
      return name
    },
    async close() {
      client.destroy()
      otherClient.destroy()
      await server.close()
      await node.close()
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** One for all the tests of a file. */
export function useHarness(...options: Parameters<typeof openHarness>): () => Harness {
  let opened: Harness | undefined
  before(async () => {
    opened = await openHarness(...options)
  })
  after(() => opened?.close())
  return () => {
    if (opened === undefined) throw new Error('the harness is not open yet')
    return opened
  }
}

/** What was refused, as `404 NoSuchKey`. */
export async function refusal(request: Promise<unknown>): Promise<string> {
  try {
    await request
  } catch (error) {
    const { name, $metadata } = error as S3ServiceException
    return `${$metadata?.httpStatusCode} ${name}`
  }
  return 'nothing was refused'
}
