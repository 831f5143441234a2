import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import {
  CreateBucketCommand,
  DeleteBucketLifecycleCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  RestoreObjectCommand,
  S3Client,
  type TransitionStorageClass,
} from '@aws-sdk/client-s3'
import { meridian } from '../command/command.ts'
import { keys, openHarness } from '../s3/store.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'

/** Cloud tiers when processes are killed. */

const folder = mkdtempSync(join(tmpdir(), 'meridian-cloud-tiers-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const Bucket = 'bucket'
const secret = 'a-secret-of-an-endpoint-that-is-nowhere'
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const clientOf = ({ endpoint }: { readonly endpoint: string }): S3Client =>
  new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: administrator.accessKey, secretAccessKey: administrator.secretKey },
  })

async function until(condition: () => Promise<boolean>, patience = 90_000): Promise<void> {
  for (const end = performance.now() + patience; !(await condition()); await wait(100)) {
    if (performance.now() > end) throw new Error('it did not come to be')
  }
}

test('U2, J2: kill -9 while objects go and come loses none, and no log tells a key of an endpoint', async () => {
  const far = await openHarness()
  const data = join(folder, 'near')
  const tiers = join(folder, 'tiers.json')
  const { accessKeyId, secretAccessKey } = keys.alice
  const cloud = { endpoint: far.endpoint, accessKey: accessKeyId, secretKey: secretAccessKey, bucket: 'there' }
  // Another one that refuses these keys, and one where nobody is.
  const wrong = { ...cloud, bucket: 'there', secretKey: secret }
  const nowhere = { ...wrong, endpoint: 'http://127.0.0.1:9' }
  writeFileSync(tiers, JSON.stringify({ CLOUD: cloud, WRONG: wrong, NOWHERE: nowhere }), { mode: 0o600 })
  const flags = ['--tiers', tiers, '--lifecycle-day', '1', '--log-level', 'debug']
  const more = [...flags, '--transition-minimum', 'varies_by_storage_class']
  const logs: string[] = []
  let server = await ServerProcess.start({ data, workers: 1, flags: more })
  let client = clientOf(server)
  const again = async (): Promise<void> => {
    await server.kill()
    logs.push(server.errors)
    client.destroy()
    server = await ServerProcess.start({ data, workers: 1, flags: more })
    client = clientOf(server)
  }
  const digests = new Map<string, string>()
  const headOf = (Key: string) => client.send(new HeadObjectCommand({ Bucket, Key }))
  const isIn = async (Key: string, name: string) => ((await headOf(Key)).StorageClass ?? '') === name
  const all = async (condition: (key: string) => Promise<boolean>) =>
    (await Promise.all([...digests.keys()].map(condition))).every(Boolean)
  const readAll = async (): Promise<void> => {
    for (const [Key, digest] of digests) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
      assert.equal(sha256((await Body?.transformToByteArray()) ?? new Uint8Array(0)), digest, Key)
    }
  }
  try {
    await client.send(new CreateBucketCommand({ Bucket }))
    const rule = (ID: string, Prefix: string, name: string) => ({
      ...{ ID, Status: 'Enabled' as const, Filter: { Prefix } },
      Transitions: [{ Days: 1, StorageClass: name as TransitionStorageClass }],
    })
    const Rules = [rule('a', 'moved/', 'CLOUD'), rule('b', 'wrong/', 'WRONG'), rule('c', 'nowhere/', 'NOWHERE')]
    for (let at = 0; at < 24; at++) {
      const Key = `moved/${at}`
      const Body = randomBytes(at % 3 === 0 ? 100 : at % 3 === 1 ? 200_000 : 3_000_000)
      await client.send(new PutObjectCommand({ Bucket, Key, Body }))
      digests.set(Key, sha256(Body))
    }
    for (const Key of ['wrong/k', 'nowhere/k']) await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }))
    await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }))
    // As soon as some have gone, and most have not.
    for (const share of [1, 8]) {
      await until(async () => {
        const gone = await Promise.all([...digests.keys()].map((key) => isIn(key, 'CLOUD')))
        return gone.filter(Boolean).length >= share
      })
      await again()
    }
    await until(() => all((key) => isIn(key, 'CLOUD')))
    const listed = await meridian('tasks', 'list', '--data', data)
    assert.equal(listed.code, 0)
    const waiting = listed.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { lane: string; reason?: string })
    assert.deepEqual(new Set(waiting.map(({ lane }) => lane)), new Set(['tier WRONG', 'tier NOWHERE']))
    assert.match(waiting.find(({ lane }) => lane === 'tier WRONG')?.reason ?? '', /^403 SignatureDoesNotMatch$/)
    assert.match(waiting.find(({ lane }) => lane === 'tier NOWHERE')?.reason ?? '', /ECONNREFUSED/)
    assert.equal(listed.output.includes(secret), false)

    await client.send(new DeleteBucketLifecycleCommand({ Bucket }))
    for (const Key of digests.keys()) await client.send(new RestoreObjectCommand({ Bucket, Key, RestoreRequest: {} }))
    await until(async () => (await Promise.all([...digests.keys()].map((key) => isIn(key, '')))).some(Boolean))
    await again()
    await until(() => all((key) => isIn(key, '')))
    await readAll()
    for (const Key of ['wrong/k', 'nowhere/k']) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
      assert.equal(await Body?.transformToString(), Key)
    }
    logs.push(server.errors)
    const said = logs.join('\n')
    assert.ok(said.includes('work at another endpoint failed'))
    for (const hidden of [secret, secretAccessKey, accessKeyId]) assert.equal(said.includes(hidden), false)
    assert.equal(await server.stop(), 0)
  } finally {
    client.destroy()
    await server.kill()
    await far.close()
  }
})
