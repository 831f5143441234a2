import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketLocationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { answered, newBucketName, startGateway } from './harness.ts'

const gateway = await startGateway()

test('a bucket is made, found, listed, and deleted once it is empty', async () => {
  const { main } = gateway.clients
  const Bucket = newBucketName()
  await assert.rejects(main.send(new HeadBucketCommand({ Bucket })), answered('NotFound', 404))
  const { Location } = await main.send(new CreateBucketCommand({ Bucket }))
  assert.equal(Location, `/${Bucket}`)
  const { BucketRegion } = await main.send(new HeadBucketCommand({ Bucket }))
  assert.equal(BucketRegion, 'us-east-1')
  const { Buckets, Owner } = await main.send(new ListBucketsCommand({}))
  assert.ok(Buckets?.some((each) => each.Name === Bucket && each.CreationDate instanceof Date))
  assert.equal(Owner?.ID, gateway.ids.main)

  await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }))
  await assert.rejects(main.send(new DeleteBucketCommand({ Bucket })), answered('BucketNotEmpty', 409))
  const empty = newBucketName()
  await main.send(new CreateBucketCommand({ Bucket: empty }))
  await main.send(new DeleteBucketCommand({ Bucket: empty }))
  await assert.rejects(main.send(new DeleteBucketCommand({ Bucket: empty })), answered('NoSuchBucket', 404))
})

test('a name that is taken, or that no bucket can have, is refused', async () => {
  const { main, other } = gateway.clients
  const Bucket = newBucketName()
  await main.send(new CreateBucketCommand({ Bucket }))
  await main.send(new CreateBucketCommand({ Bucket }))
  await assert.rejects(other.send(new CreateBucketCommand({ Bucket })), answered('BucketAlreadyExists', 409))
  await assert.rejects(
    main.send(new CreateBucketCommand({ Bucket: 'Capitals_here' })),
    answered('InvalidBucketName', 400),
  )
})

test('what CreateBucket says of location, ownership, locks and tags is kept', async () => {
  const { main } = gateway.clients
  const Bucket = newBucketName()
  await main.send(
    new CreateBucketCommand({
      Bucket,
      CreateBucketConfiguration: { LocationConstraint: 'eu-west-1', Tags: [{ Key: 'team', Value: 'a' }] },
      ObjectOwnership: 'BucketOwnerPreferred',
      ObjectLockEnabledForBucket: true,
    }),
  )
  assert.equal((await main.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint, 'eu-west-1')
  assert.equal((await main.send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Enabled')
  const { OwnershipControls } = await main.send(new GetBucketOwnershipControlsCommand({ Bucket }))
  assert.equal(OwnershipControls?.Rules?.[0]?.ObjectOwnership, 'BucketOwnerPreferred')
  assert.deepEqual((await main.send(new GetBucketTaggingCommand({ Bucket }))).TagSet, [{ Key: 'team', Value: 'a' }])

  const plain = newBucketName()
  await main.send(new CreateBucketCommand({ Bucket: plain }))
  assert.equal((await main.send(new GetBucketLocationCommand({ Bucket: plain }))).LocationConstraint, undefined)
  assert.equal((await main.send(new GetBucketVersioningCommand({ Bucket: plain }))).Status, undefined)
})

test('CreateBucket refuses documents and headers that it cannot read', async () => {
  const { main } = gateway.clients
  const create = (input: object) => main.send(new CreateBucketCommand({ Bucket: newBucketName(), ...input }))
  await assert.rejects(create({ ObjectOwnership: 'Nobody' }), answered('InvalidArgument', 400))
  await assert.rejects(
    create({ CreateBucketConfiguration: { LocationConstraint: 'no such/place' } }),
    answered('InvalidLocationConstraint', 400),
  )
  await assert.rejects(create({ ACL: 'everything' }), answered('InvalidArgument', 400))
  await assert.rejects(
    create({ ACL: 'public-read', ObjectOwnership: 'BucketOwnerEnforced' }),
    answered('InvalidBucketAclWithObjectOwnership', 400),
  )
  await assert.rejects(
    create({ CreateBucketConfiguration: { Bucket: { Type: 'Directory' } } }),
    answered('NotImplemented', 501),
  )
})

test('nobody else sees, lists or deletes a bucket', async () => {
  const { main, other, anonymous } = gateway.clients
  const Bucket = newBucketName()
  await main.send(new CreateBucketCommand({ Bucket }))
  for (const client of [other, anonymous]) {
    await assert.rejects(client.send(new HeadBucketCommand({ Bucket })), (error: { $metadata: object }) => {
      assert.equal('httpStatusCode' in error.$metadata && error.$metadata.httpStatusCode, 403)
      return true
    })
    await assert.rejects(client.send(new DeleteBucketCommand({ Bucket })), answered('AccessDenied', 403))
  }
  const { Buckets } = await other.send(new ListBucketsCommand({}))
  assert.ok(!Buckets?.some((each) => each.Name === Bucket))
  await assert.rejects(anonymous.send(new ListBucketsCommand({})), answered('AccessDenied', 403))
  await assert.rejects(
    anonymous.send(new CreateBucketCommand({ Bucket: newBucketName() })),
    answered('AccessDenied', 403),
  )
})

test('ListBuckets goes page by page, and shows those of a prefix and a region', async () => {
  const { main } = gateway.clients
  const prefix = `paged-${process.pid}-`
  const names = ['a', 'b', 'c', 'd', 'e'].map((each) => `${prefix}${each}`)
  for (const [index, Bucket] of names.entries()) {
    const location = index % 2 === 1 ? { CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' as const } } : {}
    await main.send(new CreateBucketCommand({ Bucket, ...location }))
  }
  const list = async (input: object): Promise<{ names: string[]; pages: number }> => {
    const seen: string[] = []
    let token: string | undefined
    let pages = 0
    do {
      const page = await main.send(new ListBucketsCommand({ Prefix: prefix, ContinuationToken: token, ...input }))
      seen.push(...(page.Buckets ?? []).map((each) => each.Name ?? ''))
      token = page.ContinuationToken
      pages++
    } while (token !== undefined)
    return { names: seen, pages }
  }
  assert.deepEqual(await list({}), { names, pages: 1 })
  assert.deepEqual(await list({ MaxBuckets: 2 }), { names, pages: 3 })
  assert.deepEqual(await list({ MaxBuckets: 5 }), { names, pages: 1 })
  const european = [names[1], names[3]]
  assert.deepEqual(await list({ BucketRegion: 'eu-west-1' }), { names: european, pages: 1 })
  assert.deepEqual(await list({ BucketRegion: 'eu-west-1', MaxBuckets: 1 }), { names: european, pages: 2 })
  assert.deepEqual(await list({ BucketRegion: 'us-east-1', MaxBuckets: 2 }), {
    names: [names[0], names[2], names[4]],
    pages: 2,
  })
  await assert.rejects(list({ MaxBuckets: 0 }), answered('InvalidArgument', 400))
  await assert.rejects(list({ MaxBuckets: 10_001 }), answered('InvalidArgument', 400))
  await assert.rejects(list({ ContinuationToken: 'made-up' }), answered('InvalidArgument', 400))
})
