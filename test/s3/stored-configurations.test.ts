import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { configurationsOf } from '#src/metadata/namespace-keys.ts'
import { configurationKinds } from '#src/model/configurations.ts'
import { openCell } from '../service/cell.ts'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

const analytics: s3.AnalyticsConfiguration = {
  Id: 'a.1',
  Filter: { And: { Prefix: 'p/', Tags: [{ Key: 'k', Value: 'v' }] } },
  StorageClassAnalysis: {
    DataExport: {
      OutputSchemaVersion: 'V_1',
      Destination: { S3BucketDestination: { Format: 'CSV', Bucket: 'arn:aws:s3:::reports', Prefix: 'x' } },
    },
  },
}
const tiering: s3.IntelligentTieringConfiguration = {
  Id: 'cold',
  Status: 'Enabled',
  Filter: { Tag: { Key: 'k', Value: '' } },
  Tierings: [
    { AccessTier: 'ARCHIVE_ACCESS', Days: 90 },
    { AccessTier: 'DEEP_ARCHIVE_ACCESS', Days: 180 },
  ],
}
const inventory: s3.InventoryConfiguration = {
  Id: 'daily',
  IsEnabled: true,
  IncludedObjectVersions: 'All',
  Schedule: { Frequency: 'Daily' },
  Filter: { Prefix: 'p' },
  OptionalFields: ['Size', 'ETag'],
  Destination: {
    S3BucketDestination: { Bucket: 'arn:aws:s3:::reports', Format: 'CSV', Encryption: { SSEKMS: { KeyId: 'mine' } } },
  },
}

test('analytics, tierings, inventories and metrics are kept, told and deleted, each by its id', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  await client.send(
    new s3.PutBucketAnalyticsConfigurationCommand({ Bucket, Id: 'a.1', AnalyticsConfiguration: analytics }),
  )
  const a = await client.send(new s3.GetBucketAnalyticsConfigurationCommand({ Bucket, Id: 'a.1' }))
  assert.deepEqual(a.AnalyticsConfiguration, analytics)
  const ofTiering = { Bucket, Id: 'cold', IntelligentTieringConfiguration: tiering }
  await client.send(new s3.PutBucketIntelligentTieringConfigurationCommand(ofTiering))
  const t = await client.send(new s3.GetBucketIntelligentTieringConfigurationCommand({ Bucket, Id: 'cold' }))
  assert.deepEqual(t.IntelligentTieringConfiguration, tiering)
  const ofInventory = { Bucket, Id: 'daily', InventoryConfiguration: inventory }
  await client.send(new s3.PutBucketInventoryConfigurationCommand(ofInventory))
  const i = await client.send(new s3.GetBucketInventoryConfigurationCommand({ Bucket, Id: 'daily' }))
  assert.deepEqual(i.InventoryConfiguration, inventory)
  const MetricsConfiguration: s3.MetricsConfiguration = { Id: 'all', Filter: { Prefix: 'a&b' } }
  await client.send(new s3.PutBucketMetricsConfigurationCommand({ Bucket, Id: 'all', MetricsConfiguration }))
  const m = await client.send(new s3.GetBucketMetricsConfigurationCommand({ Bucket, Id: 'all' }))
  assert.deepEqual(m.MetricsConfiguration, MetricsConfiguration)

  // Each kind has names of its own.
  assert.equal(
    await refusal(client.send(new s3.GetBucketMetricsConfigurationCommand({ Bucket, Id: 'daily' }))),
    '404 NoSuchConfiguration',
  )
  const lists = [
    (await client.send(new s3.ListBucketAnalyticsConfigurationsCommand({ Bucket }))).AnalyticsConfigurationList,
    (await client.send(new s3.ListBucketIntelligentTieringConfigurationsCommand({ Bucket })))
      .IntelligentTieringConfigurationList,
    (await client.send(new s3.ListBucketInventoryConfigurationsCommand({ Bucket }))).InventoryConfigurationList,
    (await client.send(new s3.ListBucketMetricsConfigurationsCommand({ Bucket }))).MetricsConfigurationList,
  ]
  assert.deepEqual(lists, [[analytics], [tiering], [inventory], [MetricsConfiguration]])

  const deletions = [
    new s3.DeleteBucketAnalyticsConfigurationCommand({ Bucket, Id: 'a.1' }),
    new s3.DeleteBucketIntelligentTieringConfigurationCommand({ Bucket, Id: 'cold' }),
    new s3.DeleteBucketInventoryConfigurationCommand({ Bucket, Id: 'daily' }),
    new s3.DeleteBucketMetricsConfigurationCommand({ Bucket, Id: 'all' }),
  ] as s3.DeleteBucketMetricsConfigurationCommand[]
  for (const each of deletions) assert.equal((await client.send(each)).$metadata.httpStatusCode, 204)
  for (const each of deletions) assert.equal(await refusal(client.send(each)), '404 NoSuchConfiguration')
})

test('X3: what does not conform is refused', async () => {
  const { client, otherClient, makeBucket } = harness()
  const Bucket = await makeBucket()
  const metrics = (MetricsConfiguration: s3.MetricsConfiguration, Id = MetricsConfiguration.Id) =>
    new s3.PutBucketMetricsConfigurationCommand({ Bucket, Id, MetricsConfiguration })
  const tiers = (changed: Partial<s3.IntelligentTieringConfiguration>) =>
    new s3.PutBucketIntelligentTieringConfigurationCommand({
      Bucket,
      Id: 'cold',
      IntelligentTieringConfiguration: { ...tiering, ...changed },
    })
  const inventories = (changed: object) =>
    new s3.PutBucketInventoryConfigurationCommand({
      Bucket,
      Id: 'daily',
      InventoryConfiguration: { ...inventory, ...changed },
    })
  for (const [command, answer] of [
    [metrics({ Id: 'a' }, 'b'), '400 InvalidArgument'],
    [metrics({ Id: 'a b' }), '400 InvalidArgument'],
    [metrics({ Id: 'a'.repeat(65) }), '400 InvalidArgument'],
    [tiers({ Status: 'Perhaps' as 'Enabled' }), '400 InvalidArgument'],
    [tiers({ Tierings: [] }), '400 MalformedXML'],
    [tiers({ Tierings: [{ AccessTier: 'ARCHIVE_ACCESS', Days: 89 }] }), '400 InvalidArgument'],
    [inventories({ Schedule: undefined }), '400 MalformedXML'],
    [inventories({ OptionalFields: ['Colour'] }), '400 InvalidArgument'],
    [
      inventories({ Destination: { S3BucketDestination: { Bucket: 'reports', Format: 'CSV' } } }),
      '400 InvalidArgument',
    ],
  ] as [s3.PutBucketMetricsConfigurationCommand, string][]) {
    assert.equal(await refusal(client.send(command)), answer, JSON.stringify(command.input))
  }
  assert.equal(await refusal(otherClient.send(metrics({ Id: 'a' }))), '403 AccessDenied')
  const list = await client.send(new s3.ListBucketMetricsConfigurationsCommand({ Bucket }))
  assert.deepEqual([list.IsTruncated, list.MetricsConfigurationList], [false, undefined])
})

test('lists come in pages of a hundred, and a thousand are the most', async () => {
  const { client, services, makeBucket } = harness()
  const Bucket = await makeBucket()
  const ids = Array.from({ length: 1_000 }, (_, index) => `m${String(index).padStart(4, '0')}`)
  const asked = { bucket: Bucket, kind: 'metrics', guard: () => {} } as const
  for (const id of ids) {
    const children = [{ name: 'Id', children: [id] }]
    await services.configurations.put({
      ...asked,
      id,
      document: JSON.stringify({ name: 'MetricsConfiguration', children }),
    })
  }
  const found: (string | undefined)[] = []
  let pages = 0
  for (let ContinuationToken: string | undefined; ; ) {
    const page = await client.send(new s3.ListBucketMetricsConfigurationsCommand({ Bucket, ContinuationToken }))
    assert.equal(page.ContinuationToken, ContinuationToken)
    found.push(...(page.MetricsConfigurationList ?? []).map(({ Id }) => Id))
    pages++
    ContinuationToken = page.NextContinuationToken
    assert.equal(page.IsTruncated, ContinuationToken !== undefined)
    if (ContinuationToken === undefined) break
  }
  assert.deepEqual([pages, found], [10, ids])
  const put = (Id: string) =>
    client.send(new s3.PutBucketMetricsConfigurationCommand({ Bucket, Id, MetricsConfiguration: { Id } }))
  assert.equal(await refusal(put('another')), '400 TooManyConfigurations')
  await put('m0007')
  const bad = new s3.ListBucketMetricsConfigurationsCommand({ Bucket, ContinuationToken: 'nonsense' })
  assert.equal(await refusal(client.send(bad)), '400 InvalidArgument')
})

test('configurations go with their bucket', async () => {
  const { client, services, makeBucket } = harness()
  const Bucket = await makeBucket()
  const metrics = { Bucket, Id: 'm', MetricsConfiguration: { Id: 'm' } }
  await client.send(new s3.PutBucketMetricsConfigurationCommand(metrics))
  await client.send(new s3.DeleteBucketCommand({ Bucket }))
  await client.send(new s3.CreateBucketCommand({ Bucket }))
  const list = await services.configurations.list({ bucket: Bucket, kind: 'metrics', guard: () => {}, limit: 9 })
  assert.deepEqual(list, [])
})

test('no row of a configuration stays behind a bucket', async () => {
  const cell = await openCell()
  const { store, foundation, buckets } = cell
  const { CellBucketConfigurations } = await import('#src/service/bucket-configurations.ts')
  const configurations = new CellBucketConfigurations({ store, namespace: foundation.namespace })
  const acl = { owner: 'o', grants: [] }
  const { id } = await buckets.create({ name: 'box', owner: 'o', acl, location: '', hasObjectLock: false })
  for (const kind of configurationKinds) {
    await configurations.put({ bucket: 'box', kind, id: 'x', guard: () => {}, document: '{}' })
  }
  const rows = () => {
    const { from, to } = configurationsOf(id)
    return store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10 }))
  }
  assert.equal((await rows()).length, configurationKinds.length)
  await buckets.delete('box')
  assert.deepEqual(await rows(), [])
  await cell.close()
})

test('acceleration is kept and told', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  const get = async () => (await client.send(new s3.GetBucketAccelerateConfigurationCommand({ Bucket }))).Status
  const put = (Status: string) =>
    client.send(
      new s3.PutBucketAccelerateConfigurationCommand({
        Bucket,
        AccelerateConfiguration: { Status: Status as s3.BucketAccelerateStatus },
      }),
    )
  assert.equal(await get(), undefined)
  await put('Enabled')
  assert.equal(await get(), 'Enabled')
  await put('Suspended')
  assert.equal(await get(), 'Suspended')
  assert.equal(await refusal(put('Off')), '400 MalformedXML')
})

test('whether policies may ask for tags is kept and told', async () => {
  const { client, otherClient, makeBucket } = harness()
  const Bucket = await makeBucket()
  const get = new s3.GetBucketAbacCommand({ Bucket })
  assert.equal((await client.send(get)).AbacStatus?.Status, 'Disabled')
  const put = (Status: string) =>
    new s3.PutBucketAbacCommand({ Bucket, AbacStatus: { Status: Status as s3.BucketAbacStatus } })
  await client.send(put('Enabled'))
  assert.equal((await client.send(get)).AbacStatus?.Status, 'Enabled')
  assert.equal(await refusal(client.send(put('On'))), '400 MalformedXML')
  assert.equal(await refusal(otherClient.send(put('Disabled'))), '403 AccessDenied')
})
