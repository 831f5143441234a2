import assert from 'node:assert/strict'
import { createVerify, randomBytes, X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { Endpoint, type Received } from '../support/endpoint.ts'
import { SnsClient } from '../support/sns-client.ts'
import { keys, refusal, useHarness } from './store.ts'

/** Buckets that tell, topics, and endpoints that listen, all of it whole: from the request to the POST that arrives. */

const house = useHarness({ notificationEndpoints: 'any' }, true)
const ears: { endpoint?: Endpoint } = {}
before(async () => {
  ears.endpoint = await Endpoint.open()
})
after(() => ears.endpoint?.close())
const endpoint = (): Endpoint => ears.endpoint ?? assert.fail('the endpoint is not open yet')

const clientOf = (name: keyof typeof keys): SnsClient =>
  new SnsClient(house().endpoint, { accessKey: keys[name].accessKeyId, secretKey: keys[name].secretAccessKey })
const name = (): string => `t-${randomBytes(6).toString('hex')}`

type Configuration = NonNullable<s3.NotificationConfiguration['TopicConfigurations']>[number]

const put = (Bucket: string, ...TopicConfigurations: Configuration[]) =>
  house().client.send(
    new s3.PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration: { TopicConfigurations } }),
  )

/** A topic that is pushed to a path of its own, and the bucket that tells it. */
async function telling(options: {
  readonly events: s3.Event[]
  readonly versioning?: 'enabled'
  readonly isRaw?: boolean
}): Promise<{ Bucket: string; path: string; arn: string }> {
  const topic = name()
  const path = `/${topic}`
  const arn = await clientOf('alice').createTopic(topic, {
    'push-endpoint': `${endpoint().url}${path}`,
    ...(options.isRaw !== false && { RawMessageDelivery: 'true' }),
  })
  const { versioning } = options
  const Bucket = await house().makeBucket(versioning === undefined ? {} : { versioning })
  await put(Bucket, { Id: 'all', TopicArn: arn, Events: options.events })
  return { Bucket, path, arn }
}

interface Told {
  readonly eventVersion: string
  readonly eventName: string
  readonly eventTime: string
  readonly awsRegion: string
  readonly userIdentity: { readonly principalId: string }
  readonly requestParameters: { readonly sourceIPAddress: string }
  readonly responseElements: Readonly<Record<string, string>>
  readonly s3: {
    readonly configurationId: string
    readonly bucket: { readonly name: string; readonly arn: string; readonly ownerIdentity: { principalId: string } }
    readonly object: { key: string; size?: number; eTag?: string; versionId?: string; sequencer: string }
  }
}

/** The events among what came, test events left out; the oldest first, as their sequencers say for one key. */
const eventsOf = (received: readonly Received[]): readonly Told[] =>
  received
    .map(({ body }) => JSON.parse(body) as { Records?: readonly [Told] })
    .flatMap(({ Records }) => Records ?? [])
    .toSorted((one, other) => (one.s3.object.sequencer < other.s3.object.sequencer ? -1 : 1))

const all: s3.Event[] = [
  's3:ObjectCreated:*',
  's3:ObjectRemoved:*',
  's3:ObjectTagging:*',
  's3:ObjectAcl:Put',
  's3:LifecycleExpiration:*',
  's3:LifecycleTransition',
]

test('each kind of change is told, in words and fields as S3 tells it', async () => {
  const { client, ids } = house()
  const { Bucket, path } = await telling({ events: all, versioning: 'enabled' })
  const Key = 'red flower/ü&.jpg'
  const made = await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: 'hello' }))
  await client.send(
    new s3.CopyObjectCommand({ Bucket, Key, CopySource: encodeURI(`${Bucket}/${Key}`), StorageClass: 'STANDARD_IA' }),
  )
  await client.send(new s3.PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet: [{ Key: 'a', Value: 'b' }] } }))
  await client.send(new s3.DeleteObjectTaggingCommand({ Bucket, Key }))
  await client.send(new s3.PutObjectAclCommand({ Bucket, Key, ACL: 'private' }))
  await client.send(new s3.PutObjectAclCommand({ Bucket, Key, ACL: 'public-read' }))
  const upload = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key }))
  const { UploadId } = upload
  const part = await client.send(new s3.UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'whole' }))
  await client.send(
    new s3.CompleteMultipartUploadCommand({
      Bucket,
      Key,
      UploadId,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.ETag }] },
    }),
  )
  const marked = await client.send(new s3.DeleteObjectCommand({ Bucket, Key }))
  await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key, VersionId: made.VersionId }] } }))
  const told = eventsOf(await endpoint().wait(9, path))
  // An ACL that was put as it stood is no event.
  assert.deepEqual(
    told.map((each) => each.eventName),
    [
      'ObjectCreated:Put',
      'ObjectCreated:Copy',
      'ObjectTagging:Put',
      'ObjectTagging:Delete',
      'ObjectAcl:Put',
      'ObjectCreated:CompleteMultipartUpload',
      'ObjectRemoved:DeleteMarkerCreated',
      'ObjectRemoved:Delete',
    ],
  )
  const [first] = told
  assert.ok(first !== undefined)
  assert.equal(first.eventVersion, '2.1')
  assert.deepEqual(
    told.map((each) => each.eventVersion),
    ['2.1', '2.1', '2.3', '2.3', '2.3', '2.1', '2.1', '2.1'],
  )
  assert.equal(first.awsRegion, 'loc')
  assert.equal(first.userIdentity.principalId, ids.alice)
  assert.equal(first.requestParameters.sourceIPAddress, '127.0.0.1')
  assert.equal(first.responseElements['x-amz-request-id'], made.$metadata.requestId)
  assert.equal(first.s3.configurationId, 'all')
  assert.deepEqual(first.s3.bucket, {
    name: Bucket,
    ownerIdentity: { principalId: ids.alice },
    arn: `arn:aws:s3:::${Bucket}`,
  })
  const { sequencer, ...object } = first.s3.object
  assert.match(sequencer, /^[0-9A-F]{16}$/)
  const etag = made.ETag?.replaceAll('"', '')
  assert.deepEqual(object, { key: 'red+flower/%C3%BC%26.jpg', size: 5, eTag: etag, versionId: made.VersionId })
  assert.ok(Math.abs(Date.parse(first.eventTime) - Date.now()) < 60_000)
  const marker = told.find((each) => each.eventName === 'ObjectRemoved:DeleteMarkerCreated')
  assert.equal(marker?.s3.object.versionId, marked.VersionId)
  assert.equal(told.at(-1)?.s3.object.versionId, made.VersionId)
  assert.equal(told.at(-1)?.s3.object.size, undefined)
})

test('H7: what did not happen is not told, and a test event comes first', async () => {
  const { client } = house()
  const { Bucket, path } = await telling({ events: all })
  const Key = 'key'
  await client.send(new s3.DeleteObjectCommand({ Bucket, Key }))
  assert.equal(
    await refusal(client.send(new s3.PutObjectCommand({ Bucket, Key, Body: 'x', IfMatch: '"none"' }))),
    '404 NoSuchKey',
  )
  assert.equal(
    await refusal(house().otherClient.send(new s3.PutObjectCommand({ Bucket, Key, Body: 'x' }))),
    '403 AccessDenied',
  )
  await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: 'x' }))
  await client.send(new s3.DeleteObjectCommand({ Bucket, Key }))
  const received = await endpoint().wait(3, path)
  assert.deepEqual(
    eventsOf(received).map(({ eventName, s3: { object } }) => [eventName, object.versionId]),
    [
      ['ObjectCreated:Put', undefined],
      ['ObjectRemoved:Delete', undefined],
    ],
  )
  const tests = received.map(({ body }) => JSON.parse(body) as { Event?: string; Bucket?: string })
  assert.deepEqual(
    tests.filter(({ Event }) => Event !== undefined).map(({ Event, Bucket: of }) => [Event, of]),
    [['s3:TestEvent', Bucket]],
  )
})

test('a form that is posted from a browser is told as Post', async () => {
  const { Bucket, path } = await telling({ events: ['s3:ObjectCreated:Post'] })
  await house().client.send(new s3.PutBucketAclCommand({ Bucket, ACL: 'public-read-write' }))
  const form = new FormData()
  form.set('key', 'posted')
  form.set('file', new Blob(['bytes']))
  const answer = await fetch(`${house().endpoint}/${Bucket}`, { method: 'POST', body: form })
  assert.equal(answer.status, 204)
  const told = eventsOf(await endpoint().wait(2, path))
  assert.deepEqual(
    told.map((each) => [each.eventName, each.userIdentity.principalId]),
    [['ObjectCreated:Post', 'anonymous']],
  )
})

test('H1: prefixes, suffixes, single events and groups each meet what they name, and nothing else', async () => {
  const { client } = house()
  const topic = name()
  const path = `/${topic}`
  const TopicArn = await clientOf('alice').createTopic(topic, {
    'push-endpoint': `${endpoint().url}${path}`,
    RawMessageDelivery: 'true',
  })
  const Bucket = await house().makeBucket()
  const filter = (...rules: [s3.FilterRuleName, string][]): Configuration['Filter'] => ({
    Key: { FilterRules: rules.map(([Name, Value]) => ({ Name, Value })) },
  })
  await put(
    Bucket,
    {
      Id: 'pictures',
      TopicArn,
      Events: ['s3:ObjectCreated:Put'],
      Filter: filter(['prefix', 'in/'], ['suffix', '.jpg']),
    },
    { Id: 'gone', TopicArn, Events: ['s3:ObjectRemoved:*'], Filter: filter(['prefix', 'in/']) },
    { Id: 'copies', TopicArn, Events: ['s3:ObjectCreated:Copy'] },
  )
  for (const Key of ['in/a.jpg', 'in/a.png', 'out/a.jpg', 'in.jpg', 'in/.jpg', 'in/b.jpg/']) {
    await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: 'x' }))
  }
  await client.send(new s3.CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/in/a.jpg` }))
  for (const Key of ['in/a.png', 'out/a.jpg']) await client.send(new s3.DeleteObjectCommand({ Bucket, Key }))
  const told = eventsOf(await endpoint().wait(5, path))
  assert.deepEqual(told.map((each) => `${each.s3.configurationId} ${each.s3.object.key}`).toSorted(), [
    'copies copy',
    'gone in/a.png',
    'pictures in/.jpg',
    'pictures in/a.jpg',
  ])
})

test('H2: configurations that cannot be are refused, and one that can be is told as it was put', async () => {
  const { client } = house()
  const TopicArn = await clientOf('alice').createTopic(name())
  const Bucket = await house().makeBucket()
  const prefix = (Value: string) => ({ Key: { FilterRules: [{ Name: 'prefix' as const, Value }] } })
  const created: s3.Event[] = ['s3:ObjectCreated:*']
  const bad: (readonly [Configuration[], string])[] = [
    [
      [
        { TopicArn, Events: created },
        { TopicArn, Events: ['s3:ObjectCreated:Put'] },
      ],
      '400 InvalidArgument',
    ],
    [
      [
        { TopicArn, Events: created, Filter: prefix('a') },
        { TopicArn, Events: created, Filter: prefix('ab') },
      ],
      '400 InvalidArgument',
    ],
    [[{ TopicArn, Events: ['s3:ObjectCreated:*', 's3:ObjectCreated:Put'] }], '400 InvalidArgument'],
    [[{ TopicArn, Events: ['s3:ObjectEaten:*' as s3.Event] }], '400 InvalidArgument'],
    [[{ TopicArn, Events: [] }], '400 MalformedXML'],
    [[{ TopicArn: `${TopicArn}x`, Events: created }], '400 InvalidArgument'],
    [[{ TopicArn: TopicArn.replace('loc', 'fra'), Events: created }], '400 InvalidArgument'],
    [[{ TopicArn: 'arn:aws:sqs:loc:1:queue', Events: created }], '400 InvalidArgument'],
    [
      [
        { Id: 'same', TopicArn, Events: created },
        { Id: 'same', TopicArn, Events: ['s3:ObjectRemoved:*'] },
      ],
      '400 InvalidArgument',
    ],
  ]
  for (const [configurations, expected] of bad) {
    assert.equal(await refusal(put(Bucket, ...configurations)), expected, JSON.stringify(configurations))
  }
  const good: Configuration[] = [
    { Id: 'one', TopicArn, Events: created, Filter: prefix('a/') },
    { Id: 'two', TopicArn, Events: ['s3:ObjectCreated:Put', 's3:ObjectTagging:*'], Filter: prefix('b/') },
  ]
  await put(Bucket, ...good)
  const told = await client.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket }))
  assert.deepEqual(told.TopicConfigurations, good)
  await put(Bucket)
  const none = await client.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket }))
  assert.equal(none.TopicConfigurations, undefined)
})

test('a topic of another account takes a bucket only where its policy lets it', async () => {
  const { client, ids } = house()
  const bob = clientOf('bob')
  const TopicArn = await bob.createTopic(name())
  const Bucket = await house().makeBucket()
  const configuration: Configuration = { TopicArn, Events: ['s3:ObjectCreated:*'] }
  const allow = (statement: object) =>
    bob.call('SetTopicAttributes', {
      TopicArn,
      AttributeName: 'Policy',
      AttributeValue: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'sns:Publish', Resource: TopicArn, ...statement }],
      }),
    })
  assert.equal(await refusal(put(Bucket, configuration)), '403 AccessDenied')
  await allow({ Principal: { AWS: ids.bob } })
  assert.equal(await refusal(put(Bucket, configuration)), '403 AccessDenied')
  await allow({ Principal: { AWS: `arn:aws:iam::${ids.alice}:root` } })
  await put(Bucket, configuration)
  await put(Bucket)
  const service = { Principal: { Service: 's3.amazonaws.com' } }
  await allow({ ...service, Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:s3:::another' } } })
  assert.equal(await refusal(put(Bucket, configuration)), '403 AccessDenied')
  await allow({ ...service, Condition: { ArnLike: { 'aws:SourceArn': `arn:aws:s3:::${Bucket}` } } })
  await put(Bucket, configuration)
  assert.equal(await refusal(client.send(new s3.HeadBucketCommand({ Bucket }))), 'nothing was refused')
})

test('H10: a topic that no longer lets a bucket tell it, or never has, hears nothing of it', async () => {
  const { client, ids } = house()
  const bob = clientOf('bob')
  const topic = name()
  const path = `/${topic}`
  const pushed = { 'push-endpoint': `${endpoint().url}${path}`, RawMessageDelivery: 'true' }
  const early = await house().makeBucket()
  const TopicArn = `arn:aws:sns:loc:${ids.bob}:${topic}`
  const TopicConfigurations: Configuration[] = [{ TopicArn, Events: ['s3:ObjectCreated:*'] }]
  const unchecked = new s3.PutBucketNotificationConfigurationCommand({
    Bucket: early,
    NotificationConfiguration: { TopicConfigurations },
    SkipDestinationValidation: true,
  })
  // Before there is such a topic, which nobody can refuse.
  await client.send(unchecked)
  assert.equal(await bob.createTopic(topic, pushed), TopicArn)
  assert.equal(await refusal(client.send(unchecked)), '403 AccessDenied')
  await client.send(new s3.PutObjectCommand({ Bucket: early, Key: 'never', Body: 'x' }))
  // What is published is handed on in order: once this has come, the other was seen.
  await bob.call('Publish', { TopicArn, Message: '{}' })
  assert.equal((await endpoint().wait(1, path)).length, 1)

  const setPolicy = (document: object | undefined) =>
    bob.call('SetTopicAttributes', {
      TopicArn,
      AttributeName: 'Policy',
      AttributeValue: document === undefined ? '' : JSON.stringify(document),
    })
  const Statement = [{ Effect: 'Allow', Principal: { AWS: ids.alice }, Action: 'sns:Publish', Resource: TopicArn }]
  await setPolicy({ Version: '2012-10-17', Statement })
  const Bucket = await house().makeBucket()
  await put(Bucket, ...TopicConfigurations)
  await client.send(new s3.PutObjectCommand({ Bucket, Key: 'allowed', Body: 'x' }))
  await endpoint().wait(3, path)
  await setPolicy(undefined)
  await client.send(new s3.PutObjectCommand({ Bucket, Key: 'withdrawn', Body: 'x' }))
  await bob.call('Publish', { TopicArn, Message: '{}' })
  const told = eventsOf(await endpoint().wait(4, path))
  assert.deepEqual(
    told.map((each) => each.s3.object.key),
    ['allowed'],
  )
})

interface Envelope {
  readonly Type: string
  readonly MessageId: string
  readonly TopicArn: string
  readonly Message: string
  readonly SignatureVersion: string
  readonly Signature: string
  readonly SigningCertURL: string
  readonly SubscribeURL?: string
  readonly UnsubscribeURL?: string
  readonly [field: string]: string | undefined
}

/** As receivers verify them: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html */
async function verifies(envelope: Envelope): Promise<boolean> {
  const names =
    envelope.Type === 'Notification'
      ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
      : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']
  const verify = createVerify('RSA-SHA256')
  for (const each of names) if (envelope[each] !== undefined) verify.update(`${each}\n${envelope[each]}\n`)
  const pem = await (await fetch(envelope.SigningCertURL)).text()
  return verify.verify(new X509Certificate(pem).publicKey, envelope.Signature, 'base64')
}

test('H5: an envelope is signed so that a receiver can verify it, and no field of it can be changed', async () => {
  const { Bucket, path, arn } = await telling({ events: ['s3:ObjectCreated:*'], isRaw: false })
  await house().client.send(new s3.PutObjectCommand({ Bucket, Key: 'key', Body: 'x' }))
  const received = await endpoint().wait(2, path)
  assert.equal(received.length, 2)
  for (const { body, headers } of received) {
    const envelope = JSON.parse(body) as Envelope
    assert.equal(envelope.Type, 'Notification')
    assert.equal(headers['x-amz-sns-message-type'], 'Notification')
    assert.equal(headers['x-amz-sns-message-id'], envelope.MessageId)
    assert.equal(envelope.TopicArn, arn)
    assert.equal(envelope.SignatureVersion, '2')
    assert.equal(await verifies(envelope), true)
    for (const field of ['Message', 'MessageId', 'TopicArn', 'Timestamp', 'Subject']) {
      assert.equal(await verifies({ ...envelope, [field]: `${envelope[field]}x` }), false, field)
    }
  }
})

test('a raw message has its signature in its headers', async () => {
  const { path } = await telling({ events: ['s3:ObjectCreated:*'] })
  const [received] = await endpoint().wait(1, path)
  assert.ok(received !== undefined)
  const { headers, body } = received
  const said = (header: string): string => String(headers[header])
  const pem = await (await fetch(said('x-meridian-signing-cert-url'))).text()
  const verify = (text: string) =>
    createVerify('RSA-SHA256')
      .update(`${said('x-amz-sns-message-id')}\n${said('x-meridian-timestamp')}\n${text}`)
      .verify(new X509Certificate(pem).publicKey, said('x-meridian-signature'), 'base64')
  assert.equal(verify(body), true)
  assert.equal(verify(`${body} `), false)
})

test('H6: an endpoint hears nothing before it has confirmed, and nothing after it has left', async () => {
  const alice = clientOf('alice')
  const topic = name()
  const path = `/${topic}`
  const TopicArn = await alice.createTopic(topic)
  const subscribed = await alice.call('Subscribe', { TopicArn, Protocol: 'http', Endpoint: `${endpoint().url}${path}` })
  assert.equal(subscribed.value('SubscriptionArn'), 'pending confirmation')
  const [asked] = await endpoint().wait(1, path)
  const confirmation = JSON.parse(asked?.body ?? '') as Envelope
  assert.equal(confirmation.Type, 'SubscriptionConfirmation')
  assert.equal(await verifies(confirmation), true)

  await alice.call('Publish', { TopicArn, Message: 'too early' })
  const wrong = await fetch(String(confirmation.SubscribeURL).replace(/Token=.{8}/, 'Token=00000000'))
  assert.equal(wrong.status, 400)
  await endpoint().wait(2, path, 700)
  const confirmed = await fetch(String(confirmation.SubscribeURL))
  assert.equal(confirmed.status, 200)
  assert.match(await confirmed.text(), new RegExp(`<SubscriptionArn>${TopicArn}:`))
  const published = await alice.call('Publish', { TopicArn, Message: 'hello', Subject: 'greeting' })
  const [, second] = await endpoint().wait(2, path)
  const heard = JSON.parse(second?.body ?? '') as Envelope
  assert.deepEqual(
    [heard.Message, heard['Subject'], heard.MessageId],
    ['hello', 'greeting', published.value('MessageId')],
  )
  assert.equal(await verifies(heard), true)

  assert.equal((await fetch(String(heard.UnsubscribeURL))).status, 200)
  await alice.call('Publish', { TopicArn, Message: 'too late' })
  assert.equal((await endpoint().wait(3, path, 700)).length, 2)
})

test('H8: what is answered 500 or leads elsewhere is sent again, later and later, until it is taken', async () => {
  const answers = [500, 302, 503]
  const topic = name()
  const path = `/${topic}`
  let seen = 0
  endpoint().answering = (received) => (received.path === path ? (answers[seen++] ?? 200) : 200)
  const arn = await clientOf('alice').createTopic(topic, { 'push-endpoint': `${endpoint().url}${path}` })
  await clientOf('alice').call('Publish', { TopicArn: arn, Message: 'at last' })
  const received = await endpoint().wait(4, path, 15_000)
  await endpoint().wait(5, path, 1_500)
  endpoint().answering = () => 200
  assert.equal(endpoint().received.filter((each) => each.path === path).length, 4, 'taken, it is not sent again')
  assert.equal(new Set(received.map(({ headers }) => headers['x-amz-sns-message-id'])).size, 1)
  const pauses = received.slice(1).map(({ at }, index) => at - (received[index]?.at ?? 0))
  const [first = 0, second = 0, third = 0] = pauses
  assert.ok(first >= 450 && second >= 950 && third >= 1_950, `pauses of ${pauses.join(', ')} ms`)
  assert.equal(endpoint().received.filter((each) => each.path.endsWith('/redirected')).length, 0)
})

test('SNS answers in its own form, and refuses in its own words', async () => {
  const alice = clientOf('alice')
  const bob = clientOf('bob')
  const { ids } = house()
  const topic = name()
  const TopicArn = await alice.createTopic(topic, { DisplayName: 'one' })
  assert.equal(TopicArn, `arn:aws:sns:loc:${ids.alice}:${topic}`)
  assert.equal(await alice.createTopic(topic), TopicArn)
  const listed = await alice.call('ListTopics')
  assert.match(
    listed.text,
    /^<\?xml[^>]*\?>\n<ListTopicsResponse xmlns="http:\/\/sns.amazonaws.com\/doc\/2010-03-31\/">/,
  )
  assert.ok(listed.text.includes(`<member><TopicArn>${TopicArn}</TopicArn></member>`))
  assert.ok(!(await bob.call('ListTopics')).text.includes(TopicArn))

  const refused = async (by: SnsClient, action: string, fields: Record<string, string>): Promise<string> => {
    const answer = await by.call(action, fields)
    return `${answer.status} ${answer.value('Code')}`
  }
  const changed = { 'Attributes.entry.1.key': 'DisplayName', 'Attributes.entry.1.value': 'two' }
  assert.equal(await refused(alice, 'CreateTopic', { Name: topic, ...changed }), '400 InvalidParameter')
  assert.equal(await refused(alice, 'CreateTopic', { Name: 'no spaces' }), '400 InvalidParameter')
  assert.equal(await refused(alice, 'CreateTopic', {}), '400 InvalidParameter')
  assert.equal(await refused(alice, 'GetTopicAttributes', { TopicArn: `${TopicArn}x` }), '404 NotFound')
  for (const action of ['GetTopicAttributes', 'DeleteTopic', 'ListSubscriptionsByTopic']) {
    assert.equal(await refused(bob, action, { TopicArn }), '403 AuthorizationError')
  }
  assert.equal(await refused(bob, 'Publish', { TopicArn, Message: 'x' }), '403 AuthorizationError')
  assert.equal(
    await refused(bob, 'SetTopicAttributes', { TopicArn, AttributeName: 'Policy' }),
    '403 AuthorizationError',
  )
  const subscribe = { TopicArn, Protocol: 'http', Endpoint: `${endpoint().url}/nobody` }
  assert.equal(await refused(bob, 'Subscribe', subscribe), '403 AuthorizationError')
  assert.equal(await refused(alice, 'Subscribe', { ...subscribe, Protocol: 'sqs' }), '400 InvalidParameter')
  assert.equal(await refused(alice, 'Subscribe', { ...subscribe, Protocol: 'https' }), '400 InvalidParameter')
  assert.equal(await refused(alice, 'Publish', { TopicArn, Message: '' }), '400 InvalidParameter')
  const policy = { TopicArn, AttributeName: 'Policy', AttributeValue: '{"Statement":[]}' }
  assert.equal(await refused(alice, 'SetTopicAttributes', policy), '400 InvalidParameter')
  assert.equal(await refused(alice, 'EatTopic', {}), '400 InvalidAction')

  const told = await alice.call('Subscribe', { ...subscribe, ReturnSubscriptionArn: 'true' })
  const SubscriptionArn = told.value('SubscriptionArn') ?? ''
  assert.ok(SubscriptionArn.startsWith(`${TopicArn}:`))
  const attributes = await alice.call('GetSubscriptionAttributes', { SubscriptionArn })
  assert.ok(attributes.text.includes('<entry><key>PendingConfirmation</key><value>true</value></entry>'))
  assert.equal(await refused(bob, 'GetSubscriptionAttributes', { SubscriptionArn }), '403 AuthorizationError')
  assert.equal(await refused(bob, 'Unsubscribe', { SubscriptionArn }), '403 AuthorizationError')
  for (const list of [
    await alice.call('ListSubscriptions'),
    await alice.call('ListSubscriptionsByTopic', { TopicArn }),
  ]) {
    assert.ok(list.text.includes(`<TopicArn>${TopicArn}</TopicArn><Protocol>http</Protocol>`))
  }
  assert.equal((await alice.call('Unsubscribe', { SubscriptionArn })).status, 200)
  assert.ok(!(await alice.call('ListSubscriptionsByTopic', { TopicArn })).text.includes('/nobody'))
  assert.equal((await alice.call('DeleteTopic', { TopicArn })).status, 200)
  assert.equal((await alice.call('DeleteTopic', { TopicArn })).status, 200)
  assert.ok(!(await alice.call('ListTopics')).text.includes(TopicArn))
  const forged = new SnsClient(house().endpoint, { accessKey: keys.alice.accessKeyId, secretKey: 'not the secret' })
  assert.equal(await refused(forged, 'ListTopics', {}), '403 SignatureDoesNotMatch')
})
