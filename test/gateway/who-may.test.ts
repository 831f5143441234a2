import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { callerOf } from '#gateway/auth/request.ts'
import type { Incoming } from '#gateway/incoming.ts'
import { implemented } from '#gateway/operations/index.ts'
import type { Operation, RequestBody } from '#gateway/operations/operation.ts'
import { type Outcome, pipeline } from '#gateway/pipeline.ts'
import { render, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { IamRecords } from '#src/metadata/iam-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { cannedAcl } from '#src/model/acl.ts'
import { knownActions } from '#src/model/actions.ts'
import { anonymous, type Caller } from '#src/model/identity.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import { AccessControl } from '#src/service/access.ts'
import { CellBucketConfigurations } from '#src/service/bucket-configurations.ts'
import { CellBucketNotifications } from '#src/service/bucket-notifications.ts'
import { NamespaceDomains } from '#src/service/domains.ts'
import { Iam } from '#src/service/iam/iam.ts'
import { NamespaceIdentity } from '#src/service/identity.ts'
import { CellListings } from '#src/service/listings.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import type { Services } from '#src/service/services.ts'
import { ShadowSources } from '#src/service/shadow-sources.ts'
import { CellShadows } from '#src/service/shadows.ts'
import { openSts } from '#src/service/sts/sts.ts'
import { CellTopics } from '#src/service/topics.ts'
import { CellUsage } from '#src/service/usage.ts'
import { realWorld } from '#src/world.ts'
import { body as bodyOf, openCell } from '../service/cell.ts'
import { memoryKeys } from '../support/memory-keys.ts'

/**
 * I9, T4: every operation of the table, asked as a stranger and as nobody for what is Ann's and private: refused, and not a
 * row of the store is different afterwards. The same request of Ann's shows that it was a request that would have been done.
 */
const opened: { cell?: Awaited<ReturnType<typeof openCell>> } = {}
after(async () => await opened.cell?.close())

interface House {
  readonly services: Services
  readonly ask: (request: Asked) => Promise<Outcome>
  readonly dump: () => Promise<string>
  readonly uploadId: string
}

interface Asked {
  readonly operation: Operation
  readonly caller: Caller
  readonly query: ReadonlyMap<string, string>
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly bucket?: string
}

const callers = new Map<string, Caller>()
const by = (id: string): Caller => callers.get(id) ?? anonymous

function requestBody(text: string): RequestBody {
  const bytes = Buffer.from(text)
  return {
    length: bytes.length,
    async *stream() {
      yield bytes
    },
    collect: async () => bytes,
    pieces: async () => [bytes],
    trailers: () => new Map(),
  }
}

const locked = 'locked'

/** A new cell for each operation, since some of Ann's requests end what the next would need. */
async function openHouse(): Promise<House> {
  await opened.cell?.close()
  const cell = await openCell()
  opened.cell = cell
  const { foundation, store } = cell
  const { namespace } = foundation
  // The namespace is the cell's own, so that rows that did not change are the same objects.
  assert.ok(namespace instanceof Namespace)
  const identity = new NamespaceIdentity({ store, world: realWorld, namespace })
  const listings = new CellListings(foundation)
  const lifecycle = {
    transitionMinimum: 'all_storage_classes_128K',
    transitions: 'down',
    tiers: new Set<string>(),
  } as const
  const { buckets } = cell
  const asked = new AccessControl({ buckets, accounts: identity, world: realWorld })
  const notifications = new CellBucketNotifications({ store, world: realWorld, namespace, access: asked })
  const keys = new MessageKeys({ store, world: realWorld, own: memoryKeys() })
  const topics = new CellTopics({ store, world: realWorld, region: 'fra', publicUrl: undefined, reach: 'any', keys })
  const parts = { store, world: realWorld, namespace, records: new IamRecords() }
  const [iam, sts] = [new Iam(parts), openSts(parts, 'public')]
  const configurations = new CellBucketConfigurations({ store, namespace })
  const shadows = new CellShadows(foundation, buckets, new ShadowSources(foundation, 'public'))
  const services: Services = {
    ...cell,
    shadows,
    domains: new NamespaceDomains({ store, world: realWorld, namespace }, []),
    usage: new CellUsage({ store, namespace, region: 'fra', flush: async () => {} }),
    identity,
    iam,
    sts,
    listings,
    lifecycle,
    notifications,
    topics,
    configurations,
  }
  for (const id of ['ann', 'bob']) {
    const account = await identity.createAccount({ id, displayName: id, email: `${id}@example.com` })
    callers.set(id, { kind: 'account', account, accessKeyId: 'key' })
  }
  for (const [name, policy] of [
    ['eve', undefined],
    ['eva', 'arn:aws:iam::aws:policy/AmazonS3FullAccess'],
  ] as const) {
    const [account] = (await identity.listAccounts()).filter(({ id }) => id === 'ann')
    assert.ok(account !== undefined)
    await services.iam.users.create('ann', { name, path: '/', tags: [] })
    if (policy !== undefined) await services.iam.bearers.attach('ann', 'user', name, policy)
    const found = await identity.findKey((await services.iam.users.createKey({ account, isAccount: true }, name)).id)
    assert.ok(found?.principal?.kind === 'user')
    callers.set(name, callerOf(found))
  }
  const acl = cannedAcl('private', { id: 'ann', displayName: 'ann' })
  const attributes: ObjectAttributes = { owner: 'ann', acl, headers: {}, metadata: new Map(), storageClass: 'STANDARD' }
  for (const name of ['box', locked]) {
    await cell.buckets.create({ name, owner: 'ann', acl, location: '', hasObjectLock: name === locked })
    await cell.objects.put({
      name: { bucket: name, key: 'key' },
      attributes,
      body: bodyOf(Buffer.from('secret')),
      digests: {},
      conditions: {},
      guard: () => {},
    })
  }
  await cell.buckets.create({
    name: 'mine',
    owner: 'bob',
    acl: cannedAcl('private', { id: 'bob', displayName: 'bob' }),
    location: '',
    hasObjectLock: false,
  })
  const uploading = { name: { bucket: 'box', key: 'key' }, attributes, initiator: 'ann', guard: () => {} }
  const upload = await cell.uploads.create(uploading)
  await cell.uploads.putPart({
    name: upload.name,
    uploadId: upload.id,
    number: 1,
    body: bodyOf(Buffer.from('part')),
    digests: {},
  })

  const access = new AccessControl({ buckets: services.buckets, world: realWorld })
  const ask = async ({ operation, caller, query, headers, body, bucket }: Asked): Promise<Outcome> => {
    const { method, scope } = operation.match
    const route = pipeline({
      services,
      access,
      operations: implemented,
      authenticate: async () => ({
        // A form is signed itself, or the request around it.
        caller: operation.name === 'PostObject' ? anonymous : caller,
        body: requestBody(body),
        headers,
        authenticateForm: async () => ({ caller, bytesMin: 0, bytesMax: 100 }),
      }),
    })
    const incoming: Incoming = {
      id: 'id',
      method,
      headers,
      rawHeaders: [],
      stream: Readable.from([]),
      remoteAddress: '127.0.0.1',
      isSecure: false,
    }
    return await route(incoming, {
      scope,
      bucket: scope === 'service' ? '' : (bucket ?? 'box'),
      key: scope === 'object' ? 'key' : '',
      query,
      rawPath: '',
      rawQuery: '',
      host: 'localhost',
      hostBucket: undefined,
    })
  }
  const dump = async () => {
    const entries = await store.snapshot((snapshot) =>
      snapshot.range(Uint8Array.of(0), Uint8Array.of(0xff), { limit: 10_000 }),
    )
    return entries
      .map(({ key, value }) => `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`)
      .join('\n')
  }
  return { services, ask, dump, uploadId: upload.id }
}

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
const tagging = '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>'
const policy = JSON.stringify({
  Statement: { Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::box/*' },
})
const form = [
  '--x',
  'Content-Disposition: form-data; name="key"',
  '',
  'key',
  '--x',
  'Content-Disposition: form-data; name="file"; filename="f"',
  '',
  'bytes',
  '--x--',
  '',
].join('\r\n')

/** What the operations need beside their names to be requests that would be done. */
const bodies: Readonly<Record<string, string>> = {
  PatchBucket: '{"shadow_bucket":{}}',
  PutBucketLifecycleConfiguration:
    '<LifecycleConfiguration><Rule><Status>Enabled</Status><Prefix>a</Prefix><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>',
  PutBucketCors:
    '<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>',
  PutBucketEncryption:
    '<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>',
  PutBucketOwnershipControls:
    '<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>',
  PutBucketPolicy: policy,
  PutBucketReplication:
    '<ReplicationConfiguration><Role>arn:aws:iam::1:role/r</Role><Rule><Prefix/><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::mine</Bucket></Destination></Rule></ReplicationConfiguration>',
  PutBucketRequestPayment: '<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>',
  PutBucketTagging: tagging,
  PutBucketVersioning: '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
  PutBucketAbac: '<AbacStatus><Status>Enabled</Status></AbacStatus>',
  PutBucketAccelerateConfiguration: '<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>',
  PutBucketAnalyticsConfiguration: '<AnalyticsConfiguration><Id>c</Id><StorageClassAnalysis/></AnalyticsConfiguration>',
  PutBucketIntelligentTieringConfiguration:
    '<IntelligentTieringConfiguration><Id>c</Id><Status>Enabled</Status><Tiering><AccessTier>ARCHIVE_ACCESS</AccessTier><Days>90</Days></Tiering></IntelligentTieringConfiguration>',
  PutBucketInventoryConfiguration:
    '<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::box</Bucket><Format>CSV</Format></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>c</Id><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>',
  PutBucketMetricsConfiguration: '<MetricsConfiguration><Id>c</Id></MetricsConfiguration>',
  PutBucketWebsite: '<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>',
  PutObjectLockConfiguration:
    '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>',
  PutPublicAccessBlock:
    '<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>',
  PutBucketLogging: '<BucketLoggingStatus/>',
  PutBucketNotificationConfiguration: '<NotificationConfiguration/>',
  PutObjectTagging: tagging,
  PutObjectLegalHold: '<LegalHold><Status>ON</Status></LegalHold>',
  PutObjectRetention:
    '<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>',
  DeleteObjects: '<Delete><Object><Key>key</Key></Object></Delete>',
  CompleteMultipartUpload: `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${md5('part')}</ETag></Part></CompleteMultipartUpload>`,
  PostObject: form,
  PutObject: 'bytes',
  RestoreObject: '<RestoreRequest><Days>1</Days></RestoreRequest>',
  SelectObjectContent:
    '<SelectObjectContentRequest><Expression>SELECT * FROM S3Object</Expression><ExpressionType>SQL</ExpressionType><InputSerialization><CSV/></InputSerialization><OutputSerialization><CSV/></OutputSerialization></SelectObjectContentRequest>',
  UploadPart: 'bytes',
}

const extraHeaders: Readonly<Record<string, Record<string, string>>> = {
  PutBucketAcl: { 'x-amz-acl': 'public-read' },
  PutObjectAcl: { 'x-amz-acl': 'public-read' },
  CopyObject: { 'x-amz-metadata-directive': 'REPLACE' },
  GetObjectAttributes: { 'x-amz-object-attributes': 'ETag' },
  PostObject: { 'content-type': 'multipart/form-data; boundary=x' },
  RenameObject: { 'x-amz-rename-source': '/box/key' },
  PutBucketRequestPayment: {},
}

/** Operations whose bucket has to have object lock for Ann to be allowed by the operation itself. */
const ofLocked = new Set([
  'PutObjectLegalHold',
  'PutObjectRetention',
  'GetObjectLegalHold',
  'GetObjectRetention',
  'PutObjectLockConfiguration',
  'GetObjectLockConfiguration',
])

function askedOf(operation: Operation, { uploadId }: Pick<House, 'uploadId'>): Omit<Asked, 'caller'> {
  const body = bodies[operation.name] ?? ''
  const query = new Map<string, string>()
  const headers: Record<string, string> = {
    'content-md5': createHash('md5').update(body).digest('base64'),
    'content-length': String(Buffer.byteLength(body)),
  }
  for (const key of operation.match.keys ?? []) {
    const [name = '', value = ''] = key.split('=')
    if (name === 'x-amz-copy-source') headers[name] = '/box/key'
    else query.set(name, name === 'uploadId' ? uploadId : name === 'partNumber' ? '1' : value)
  }
  // Of what a bucket has many; the others do not ask for it.
  query.set('id', 'c')
  const bucket = ofLocked.has(operation.name) ? locked : 'box'
  return { operation, query, headers: { ...headers, ...extraHeaders[operation.name] }, body, bucket }
}

const isRefused = ({ thrown }: Outcome): boolean => thrown instanceof Fault && thrown.code === 'AccessDenied'

/** DeleteObjects tells of each key. */
function refusesEach(outcome: Outcome): boolean {
  const { response } = outcome
  if (response?.body === undefined || typeof response.body === 'string') return false
  return render(response.body as Xml).includes('<Code>AccessDenied</Code>')
}

async function refuses(house: House, asked: Asked): Promise<boolean> {
  const outcome = await house.ask(asked)
  return isRefused(outcome) || (asked.operation.name === 'DeleteObjects' && refusesEach(outcome))
}

before(() => {
  // A walk over an empty table would pass.
  assert.ok(implemented.length >= 70)
})

/** Every account may ask for what is its own. */
const ofOneself: ReadonlySet<string> = new Set(['ListBuckets', 'GetUsageStats', 'GetUsage'])

for (const operation of implemented) {
  test(`I9: ${operation.name} is refused to strangers and to nobody, and not to the owner`, async () => {
    const house = await openHouse()
    const asked = askedOf(operation, house)
    const before = await house.dump()
    const isForAnybody = ofOneself.has(operation.name)
    assert.equal(await refuses(house, { ...asked, caller: anonymous }), true, 'anonymous')
    if (operation.name === 'CreateBucket') {
      const outcome = await house.ask({ ...asked, caller: by('bob') })
      assert.ok(outcome.thrown instanceof Fault && outcome.thrown.code === 'BucketAlreadyExists')
    } else {
      assert.equal(await refuses(house, { ...asked, caller: by('bob') }), !isForAnybody, 'bob')
    }
    assert.equal(
      await refuses(house, { ...asked, caller: by('eve') }),
      true,
      'I10: a user of the owner, without a policy',
    )
    assert.equal(await house.dump(), before, 'nothing changed')

    const { thrown, response } = await house.ask({ ...asked, caller: by('ann') })
    assert.equal(isRefused({ operation: '', thrown }), false, 'ann')
    if (!isForAnybody) assert.ok(!(thrown instanceof Error) || thrown instanceof Fault, String(thrown))
    if (response?.later !== undefined) await response.later
  })
}

for (const operation of implemented) {
  test(`I10: ${operation.name} is not refused to a user of the owner whose policy allows it`, async () => {
    const house = await openHouse()
    const { thrown, response } = await house.ask({ ...askedOf(operation, house), caller: by('eva') })
    assert.equal(isRefused({ operation: '', thrown }), false, 'eva')
    if (response?.later !== undefined) await response.later
  })
}

test('I9: every operation names an action that the table knows', async () => {
  const house = { uploadId: 'x' }
  for (const operation of implemented) {
    const { query, headers } = askedOf(operation, house)
    for (const versionId of [undefined, 'null']) {
      const asked = new Map(query)
      if (versionId !== undefined) asked.set('versionId', versionId)
      const action = operation.action({
        id: '',
        method: operation.match.method,
        scope: operation.match.scope,
        bucket: 'box',
        key: 'key',
        query: asked,
        headers,
        body: requestBody(''),
        caller: anonymous,
        remoteAddress: '',
        isSecure: false,
        host: '',
      })
      if (action === 'each') assert.equal(operation.name, 'DeleteObjects')
      else assert.ok(knownActions.has(action), `${operation.name}: ${action}`)
    }
  }
})

/** Also of what is answered late. */
async function thrownBy({ thrown, response }: Outcome): Promise<unknown> {
  if (thrown !== undefined || response?.later === undefined) return thrown
  return await response.later.then(
    () => undefined,
    (late: unknown) => late,
  )
}

const named = (name: string): Operation => {
  const operation = implemented.find((each) => each.name === name)
  assert.ok(operation !== undefined, name)
  return operation
}

test('T4: what is copied must be readable, wherever it goes, and by its version', async () => {
  const house = await openHouse()
  const writeOnly = JSON.stringify({
    Statement: { Effect: 'Allow', Principal: '*', Action: 's3:PutObject', Resource: 'arn:aws:s3:::box/*' },
  })
  for (const change of [{}, { policy: writeOnly }]) {
    await house.services.buckets.update('box', (bucket) => ({ ...bucket, ...change }))
    for (const source of ['/box/key', '/box/key?versionId=null']) {
      for (const bucket of ['mine', 'box']) {
        const headers = { 'x-amz-copy-source': source, 'x-amz-metadata-directive': 'REPLACE' }
        const asked = { ...askedOf(named('CopyObject'), house), headers, bucket, caller: by('bob') }
        const thrown = await thrownBy(await house.ask(asked))
        assert.ok(thrown instanceof Fault && thrown.code === 'AccessDenied', `${source} to ${bucket}`)
      }
    }
  }
  // That policy lets Bob write parts into Ann's upload, but not fill them with what he cannot read.
  const part = { ...askedOf(named('UploadPartCopy'), house), caller: by('bob') }
  const thrown = await thrownBy(await house.ask(part))
  assert.ok(thrown instanceof Fault && thrown.code === 'AccessDenied')
})

test('T4: tags are copied only for who may read them', async () => {
  const house = await openHouse()
  const policyFor = (...Action: string[]) =>
    JSON.stringify({ Statement: { Effect: 'Allow', Principal: '*', Action, Resource: 'arn:aws:s3:::box/*' } })
  const copy = async (action: string[], directive: string): Promise<unknown> => {
    await house.services.buckets.update('box', (bucket) => ({ ...bucket, policy: policyFor(...action) }))
    const headers = { 'x-amz-copy-source': '/box/key', 'x-amz-tagging-directive': directive }
    const asked = { ...askedOf(named('CopyObject'), house), headers, bucket: 'mine', caller: by('bob') }
    return await thrownBy(await house.ask(asked))
  }
  assert.equal(await copy(['s3:GetObject'], 'COPY'), undefined)
  const name = { bucket: 'box', key: 'key' }
  await house.services.objects.update({ name, guard: () => {}, change: () => ({ tags: new Map([['a', 'b']]) }) })
  const refused = await copy(['s3:GetObject'], 'COPY')
  assert.ok(refused instanceof Fault && refused.code === 'AccessDenied')
  assert.equal(await copy(['s3:GetObject'], 'REPLACE'), undefined)
  assert.equal(await copy(['s3:GetObject', 's3:GetObjectTagging'], 'COPY'), undefined)
})

test('T4: an upload of another bucket is not there', async () => {
  const house = await openHouse()
  const before = await house.dump()
  for (const name of ['UploadPart', 'ListParts', 'AbortMultipartUpload', 'CompleteMultipartUpload', 'UploadPartCopy']) {
    const asked = { ...askedOf(named(name), house), bucket: 'mine', caller: by('bob') }
    const thrown = await thrownBy(await house.ask(asked))
    assert.ok(thrown instanceof Fault && thrown.code === 'NoSuchUpload', name)
  }
  assert.equal(await house.dump(), before)
})
