import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { answered, newBucketName, startGateway } from './harness.ts'

const gateway = await startGateway()
const { main, other, anonymous } = gateway.clients
const { ids } = gateway

async function newBucket(input: Partial<s3.CreateBucketCommandInput> = {}): Promise<string> {
  const Bucket = newBucketName()
  await main.send(new s3.CreateBucketCommand({ Bucket, ...input }))
  return Bucket
}

const allUsers = 'http://acs.amazonaws.com/groups/global/AllUsers'
const readByAll = { Grantee: { Type: 'Group', URI: allUsers }, Permission: 'READ' } as const

test('versioning is off until it is enabled, and then suspended at most', async () => {
  const Bucket = await newBucket()
  const put = (Status: string | undefined) =>
    main.send(
      new s3.PutBucketVersioningCommand({
        Bucket,
        VersioningConfiguration: { Status: Status as s3.BucketVersioningStatus },
      }),
    )
  const status = async () => (await main.send(new s3.GetBucketVersioningCommand({ Bucket }))).Status
  assert.equal(await status(), undefined)
  await put('Enabled')
  assert.equal(await status(), 'Enabled')
  await put('Suspended')
  assert.equal(await status(), 'Suspended')
  await assert.rejects(put('Off'), answered('MalformedXML', 400))
  await assert.rejects(put(undefined), answered('IllegalVersioningConfigurationException', 400))
  const device = { Bucket, VersioningConfiguration: { Status: 'Enabled', MFADelete: 'Enabled' } } as const
  await assert.rejects(main.send(new s3.PutBucketVersioningCommand(device)), answered('NotImplemented', 501))
  assert.equal(await status(), 'Suspended')
})

test('a bucket with locks keeps its versions, and its default retention is carried out', async () => {
  const Bucket = await newBucket({ ObjectLockEnabledForBucket: true })
  const suspended = { Bucket, VersioningConfiguration: { Status: 'Suspended' } } as const
  await assert.rejects(main.send(new s3.PutBucketVersioningCommand(suspended)), answered('InvalidBucketState', 409))
  const get = async () =>
    (await main.send(new s3.GetObjectLockConfigurationCommand({ Bucket }))).ObjectLockConfiguration
  assert.deepEqual(await get(), { ObjectLockEnabled: 'Enabled' })

  const put = (retention: object | undefined, enabled = 'Enabled') =>
    main.send(
      new s3.PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: enabled as 'Enabled',
          ...(retention && { Rule: { DefaultRetention: retention } }),
        },
      }),
    )
  await put({ Mode: 'GOVERNANCE', Days: 3 })
  assert.deepEqual((await get())?.Rule, { DefaultRetention: { Mode: 'GOVERNANCE', Days: 3 } })
  const { VersionId } = await main.send(new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }))
  const { Retention } = await main.send(new s3.GetObjectRetentionCommand({ Bucket, Key: 'k' }))
  assert.equal(Retention?.Mode, 'GOVERNANCE')
  const left = (Retention?.RetainUntilDate?.getTime() ?? 0) - Date.now()
  assert.ok(left > 2.99 * 86_400_000 && left < 3.01 * 86_400_000, String(left))
  const removal = { Bucket, Key: 'k', VersionId }
  await assert.rejects(main.send(new s3.DeleteObjectCommand(removal)), answered('AccessDenied', 403))
  await main.send(new s3.DeleteObjectCommand({ ...removal, BypassGovernanceRetention: true }))

  for (const [retention, code] of [
    [{ Mode: 'GOVERNANCE', Days: 1, Years: 1 }, 'MalformedXML'],
    [{ Mode: 'GOVERNANCE' }, 'MalformedXML'],
    [{ Mode: 'governance', Years: 1 }, 'MalformedXML'],
    [{ Mode: 'GOVERNANCE', Days: 0 }, 'InvalidRetentionPeriod'],
    [{ Mode: 'GOVERNANCE', Years: -1 }, 'InvalidRetentionPeriod'],
    [{ Mode: 'COMPLIANCE', Years: 101 }, 'InvalidRetentionPeriod'],
  ] as const) {
    await assert.rejects(put(retention), answered(code, 400), JSON.stringify(retention))
  }
  await assert.rejects(put({ Mode: 'GOVERNANCE', Days: 1 }, 'Disabled'), answered('MalformedXML', 400))
  await put(undefined)
  assert.equal((await get())?.Rule, undefined)
  await main.send(new s3.PutObjectCommand({ Bucket, Key: 'free', Body: 'x' }))
  await assert.rejects(
    main.send(new s3.GetObjectRetentionCommand({ Bucket, Key: 'free' })),
    answered('NoSuchObjectLockConfiguration', 404),
  )
})

test('locks come to a bucket only once it is versioned', async () => {
  const Bucket = await newBucket()
  await assert.rejects(
    main.send(new s3.GetObjectLockConfigurationCommand({ Bucket })),
    answered('ObjectLockConfigurationNotFoundError', 404),
  )
  const lock = new s3.PutObjectLockConfigurationCommand({
    Bucket,
    ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
  })
  await assert.rejects(main.send(lock), answered('InvalidBucketState', 409))
  await main.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  await main.send(lock)
  const { ObjectLockConfiguration } = await main.send(new s3.GetObjectLockConfigurationCommand({ Bucket }))
  assert.equal(ObjectLockConfiguration?.ObjectLockEnabled, 'Enabled')
})

test('ACLs of buckets come canned, in headers or as documents', async () => {
  const Bucket = await newBucket()
  const own = { Grantee: { Type: 'CanonicalUser', ID: ids.main, DisplayName: 'alice' }, Permission: 'FULL_CONTROL' }
  const get = async () => await main.send(new s3.GetBucketAclCommand({ Bucket }))
  const put = (input: object) => main.send(new s3.PutBucketAclCommand({ Bucket, ...input }))
  const { Owner, Grants } = await get()
  assert.deepEqual([Owner, Grants], [{ ID: ids.main, DisplayName: 'alice' }, [own]])

  await put({ ACL: 'public-read' })
  assert.deepEqual((await get()).Grants, [readByAll, own])
  await put({ GrantReadACP: `id="${ids.other}"`, GrantFullControl: `id=${ids.main}` })
  const granted = (await get()).Grants?.map((each) => [each.Grantee?.ID, each.Permission])
  assert.deepEqual(granted, [
    [ids.other, 'READ_ACP'],
    [ids.main, 'FULL_CONTROL'],
  ])
  assert.equal((await other.send(new s3.GetBucketAclCommand({ Bucket }))).Grants?.length, 2)
  await assert.rejects(
    other.send(new s3.PutBucketAclCommand({ Bucket, ACL: 'public-read' })),
    answered('AccessDenied', 403),
  )

  const document = (Grants: object[], ID = ids.main) => ({ AccessControlPolicy: { Owner: { ID }, Grants } })
  await put(document([readByAll]))
  assert.deepEqual((await get()).Grants, [readByAll])
  await put(document([]))
  assert.equal((await get()).Grants?.length ?? 0, 0)
  const byEmail = { Grantee: { Type: 'AmazonCustomerByEmail', EmailAddress: 'bob@example.com' }, Permission: 'WRITE' }
  await put(document([byEmail]))
  assert.deepEqual((await get()).Grants?.[0]?.Grantee?.ID, ids.other)

  await assert.rejects(put({}), answered('MissingSecurityHeader', 400))
  await assert.rejects(put({ ACL: 'wide-open' }), answered('InvalidArgument', 400))
  await assert.rejects(put({ ACL: 'private', GrantRead: `id=${ids.other}` }), answered('InvalidRequest', 400))
  await assert.rejects(put({ GrantRead: 'id=nobody' }), answered('InvalidArgument', 400))
  await assert.rejects(put(document([{ ...readByAll, Permission: 'SOME' }])), answered('MalformedACLError', 400))
  await assert.rejects(put(document([readByAll], ids.other)), answered('AccessDenied', 403))
  const unknown = { ...byEmail, Grantee: { ...byEmail.Grantee, EmailAddress: 'nobody@example.com' } }
  await assert.rejects(put(document([unknown])), answered('UnresolvableGrantByEmailAddress', 400))
})

test('ownership turns ACLs off, and public access is blocked where it is asked', async () => {
  const Bucket = await newBucket({ ACL: 'public-read' })
  const own = (ObjectOwnership: string) =>
    main.send(
      new s3.PutBucketOwnershipControlsCommand({
        Bucket,
        OwnershipControls: { Rules: [{ ObjectOwnership: ObjectOwnership as s3.ObjectOwnership }] },
      }),
    )
  const get = new s3.GetBucketOwnershipControlsCommand({ Bucket })
  const canned = (ACL: s3.BucketCannedACL) => main.send(new s3.PutBucketAclCommand({ Bucket, ACL }))
  await assert.rejects(main.send(get), answered('OwnershipControlsNotFoundError', 404))
  await assert.rejects(own('BucketOwnerEnforced'), answered('InvalidBucketAclWithObjectOwnership', 400))
  await assert.rejects(own('Everybody'), answered('MalformedXML', 400))
  await canned('private')
  await own('BucketOwnerEnforced')
  assert.equal((await main.send(get)).OwnershipControls?.Rules?.[0]?.ObjectOwnership, 'BucketOwnerEnforced')
  await assert.rejects(canned('public-read'), answered('AccessControlListNotSupported', 400))
  await main.send(new s3.DeleteBucketOwnershipControlsCommand({ Bucket }))
  await assert.rejects(main.send(get), answered('OwnershipControlsNotFoundError', 404))
  await canned('public-read')

  const block = new s3.GetPublicAccessBlockCommand({ Bucket })
  await assert.rejects(main.send(block), answered('NoSuchPublicAccessBlockConfiguration', 404))
  await main.send(
    new s3.PutPublicAccessBlockCommand({
      Bucket,
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, BlockPublicPolicy: true },
    }),
  )
  assert.deepEqual((await main.send(block)).PublicAccessBlockConfiguration, {
    BlockPublicAcls: true,
    IgnorePublicAcls: false,
    BlockPublicPolicy: true,
    RestrictPublicBuckets: false,
  })
  await assert.rejects(canned('public-read-write'), answered('AccessDenied', 403))
  await assert.rejects(main.send(new s3.PutBucketPolicyCommand(openPolicy(Bucket))), answered('AccessDenied', 403))
  await main.send(new s3.DeletePublicAccessBlockCommand({ Bucket }))
  await assert.rejects(main.send(block), answered('NoSuchPublicAccessBlockConfiguration', 404))
  await canned('public-read-write')
})

function openPolicy(bucket: string): { Bucket: string; Policy: string } {
  const statement = {
    Effect: 'Allow',
    Principal: '*',
    Action: 's3:ListBucket',
    Resource: [`arn:aws:s3:::${bucket}`],
  }
  return { Bucket: bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }) }
}

test('a policy is kept as it was put, has its effect, and says whether the bucket is public', async () => {
  const Bucket = await newBucket()
  const isPublic = async () => {
    const { PolicyStatus } = await main.send(new s3.GetBucketPolicyStatusCommand({ Bucket }))
    return PolicyStatus?.IsPublic
  }
  const list = () => anonymous.send(new s3.ListObjectsV2Command({ Bucket }))
  await assert.rejects(main.send(new s3.GetBucketPolicyCommand({ Bucket })), answered('NoSuchBucketPolicy', 404))
  assert.equal(await isPublic(), false)
  await assert.rejects(list(), answered('AccessDenied', 403))
  const { Policy } = openPolicy(Bucket)
  await main.send(new s3.PutBucketPolicyCommand({ Bucket, Policy }))
  assert.equal((await main.send(new s3.GetBucketPolicyCommand({ Bucket }))).Policy, Policy)
  assert.equal(await isPublic(), true)
  await list()
  await assert.rejects(other.send(new s3.PutBucketPolicyCommand({ Bucket, Policy })), answered('AccessDenied', 403))
  for (const wrong of ['{', '[]', '{"Version":"2012-10-17"}', openPolicy('other-bucket').Policy]) {
    await assert.rejects(
      main.send(new s3.PutBucketPolicyCommand({ Bucket, Policy: wrong })),
      answered('MalformedPolicy', 400),
      wrong,
    )
  }
  await main.send(new s3.DeleteBucketPolicyCommand({ Bucket }))
  await assert.rejects(list(), answered('AccessDenied', 403))
})

test('tags of a bucket are put, got and deleted whole', async () => {
  const Bucket = await newBucket()
  const get = new s3.GetBucketTaggingCommand({ Bucket })
  const put = (TagSet: s3.Tag[]) => main.send(new s3.PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }))
  await assert.rejects(main.send(get), answered('NoSuchTagSet', 404))
  const TagSet = [
    { Key: 'Hello', Value: 'World' },
    { Key: 'empty', Value: '' },
  ]
  await put(TagSet)
  assert.deepEqual((await main.send(get)).TagSet, TagSet)
  await put([{ Key: 'one', Value: '1' }])
  assert.deepEqual((await main.send(get)).TagSet, [{ Key: 'one', Value: '1' }])
  const many = Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: '' }))
  await assert.rejects(put(many), answered('InvalidTag', 400))
  await put(many.slice(1))
  await assert.rejects(put([...TagSet, ...TagSet]), answered('InvalidTag', 400))
  await main.send(new s3.DeleteBucketTaggingCommand({ Bucket }))
  await assert.rejects(main.send(get), answered('NoSuchTagSet', 404))
})

test('CORS rules are checked, kept in order, and deleted', async () => {
  const Bucket = await newBucket()
  const get = new s3.GetBucketCorsCommand({ Bucket })
  const put = (...CORSRules: s3.CORSRule[]) =>
    main.send(new s3.PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }))
  await assert.rejects(main.send(get), answered('NoSuchCORSConfiguration', 404))
  const full: s3.CORSRule = {
    ID: 'first',
    AllowedHeaders: ['x-*', 'content-type'],
    AllowedMethods: ['GET', 'PUT'],
    AllowedOrigins: ['https://*.example.com'],
    ExposeHeaders: ['etag'],
    MaxAgeSeconds: 60,
  }
  const short: s3.CORSRule = { AllowedMethods: ['HEAD'], AllowedOrigins: ['*'] }
  await put(full, short)
  assert.deepEqual((await main.send(get)).CORSRules, [full, short])
  await assert.rejects(put({ ...short, AllowedMethods: ['PATCH'] }), answered('InvalidRequest', 400))
  await assert.rejects(put({ ...short, AllowedOrigins: ['*.*'] }), answered('InvalidRequest', 400))
  await assert.rejects(put({ ...short, AllowedHeaders: ['*a*'] }), answered('InvalidRequest', 400))
  await assert.rejects(put({ ...short, ExposeHeaders: ['x-*'] }), answered('InvalidRequest', 400))
  await assert.rejects(put({ ...short, AllowedMethods: [] }), answered('MalformedXML', 400))
  await assert.rejects(put({ ...short, MaxAgeSeconds: -1 }), answered('MalformedXML', 400))
  await assert.rejects(put(), answered('MalformedXML', 400))
  await assert.rejects(put(...Array.from({ length: 101 }, () => short)), answered('MalformedXML', 400))
  assert.equal((await main.send(get)).CORSRules?.length, 2)
  await main.send(new s3.DeleteBucketCorsCommand({ Bucket }))
  await assert.rejects(main.send(get), answered('NoSuchCORSConfiguration', 404))
})

test('who pays is kept', async () => {
  const Bucket = await newBucket()
  const get = async () => (await main.send(new s3.GetBucketRequestPaymentCommand({ Bucket }))).Payer
  const put = (Payer: string) =>
    main.send(
      new s3.PutBucketRequestPaymentCommand({
        Bucket,
        RequestPaymentConfiguration: { Payer: Payer as s3.Payer },
      }),
    )
  assert.equal(await get(), 'BucketOwner')
  await put('Requester')
  assert.equal(await get(), 'Requester')
  await assert.rejects(put('Nobody'), answered('MalformedXML', 400))
})

test('of what was never put none is there, and a DELETE of none succeeds', async () => {
  const Bucket = await newBucket()
  const absent = [
    [new s3.GetBucketLifecycleConfigurationCommand({ Bucket }), 'NoSuchLifecycleConfiguration'],
    [new s3.GetBucketWebsiteCommand({ Bucket }), 'NoSuchWebsiteConfiguration'],
    [new s3.GetBucketEncryptionCommand({ Bucket }), 'ServerSideEncryptionConfigurationNotFoundError'],
    [new s3.GetBucketReplicationCommand({ Bucket }), 'ReplicationConfigurationNotFoundError'],
    [new s3.GetBucketMetricsConfigurationCommand({ Bucket, Id: 'm' }), 'NoSuchConfiguration'],
    [new s3.GetBucketInventoryConfigurationCommand({ Bucket, Id: 'm' }), 'NoSuchConfiguration'],
    [new s3.GetBucketAnalyticsConfigurationCommand({ Bucket, Id: 'm' }), 'NoSuchConfiguration'],
    [new s3.GetBucketIntelligentTieringConfigurationCommand({ Bucket, Id: 'm' }), 'NoSuchConfiguration'],
  ] as const
  for (const [get, code] of absent) {
    await assert.rejects(main.send(get as s3.GetBucketWebsiteCommand), answered(code, 404))
    await assert.rejects(other.send(get as s3.GetBucketWebsiteCommand), answered('AccessDenied', 403))
  }
  assert.equal((await main.send(new s3.GetBucketLoggingCommand({ Bucket }))).LoggingEnabled, undefined)
  assert.equal((await main.send(new s3.GetBucketAccelerateConfigurationCommand({ Bucket }))).Status, undefined)
  const notifications = await main.send(new s3.GetBucketNotificationConfigurationCommand({ Bucket }))
  assert.equal(notifications.TopicConfigurations, undefined)
  const metrics = await main.send(new s3.ListBucketMetricsConfigurationsCommand({ Bucket }))
  assert.deepEqual([metrics.IsTruncated, metrics.MetricsConfigurationList], [false, undefined])

  await main.send(new s3.PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: {} }))
  await main.send(new s3.PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration: {} }))
  const deletions = [
    new s3.DeleteBucketLifecycleCommand({ Bucket }),
    new s3.DeleteBucketWebsiteCommand({ Bucket }),
    new s3.DeleteBucketEncryptionCommand({ Bucket }),
    new s3.DeleteBucketReplicationCommand({ Bucket }),
  ]
  for (const each of deletions) {
    assert.equal((await main.send(each as s3.DeleteBucketWebsiteCommand)).$metadata.httpStatusCode, 204)
    await assert.rejects(other.send(each as s3.DeleteBucketWebsiteCommand), answered('AccessDenied', 403))
  }
})

test('a setting of no bucket, or of nobody, is refused', async () => {
  const Bucket = newBucketName()
  for (const command of [
    new s3.GetBucketTaggingCommand({ Bucket }),
    new s3.GetBucketWebsiteCommand({ Bucket }),
    new s3.DeleteBucketCorsCommand({ Bucket }),
  ]) {
    await assert.rejects(main.send(command as s3.GetBucketTaggingCommand), answered('NoSuchBucket', 404))
  }
  const existing = await newBucket({ ACL: 'public-read-write' })
  await assert.rejects(
    anonymous.send(new s3.PutBucketTaggingCommand({ Bucket: existing, Tagging: { TagSet: [] } })),
    answered('AccessDenied', 403),
  )
  await assert.rejects(
    other.send(new s3.PutBucketVersioningCommand({ Bucket: existing, VersioningConfiguration: { Status: 'Enabled' } })),
    answered('AccessDenied', 403),
  )
})
