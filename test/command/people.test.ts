import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { DataDirectory } from '#src/data-directory.ts'
import { parseExposition } from '../../bin/client/exposition.ts'
import { Progress } from '../../bin/client/progress.ts'
import { topReport } from '../../bin/client/top-view.ts'
import { inParallel, partsOf } from '../../bin/client/transfers.ts'
import { type Harness, keys, openHarness } from '../s3/store.ts'
import { Command, type Ended } from './command.ts'

let harness: Harness
let folder: string

before(async () => {
  harness = await openHarness({}, true)
  folder = await mkdtemp(join(tmpdir(), 'meridian-people-'))
})

after(async () => {
  await harness?.close()
  await rm(folder, { recursive: true, force: true })
})

const environment = (): Record<string, string> => ({
  AWS_ENDPOINT_URL_S3: harness.endpoint,
  AWS_ACCESS_KEY_ID: keys.alice.accessKeyId,
  AWS_SECRET_ACCESS_KEY: keys.alice.secretAccessKey,
  // Nothing of this machine's own.
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  AWS_EC2_METADATA_DISABLED: 'true',
})

const run = (words: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new Command(words, { ...environment(), ...more }).ended

async function done(...words: readonly string[]): Promise<string> {
  const { code, output, errors } = await run(words)
  assert.equal(code, 0, errors)
  return output
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

test('buckets are made, listed, looked at and deleted, without a data directory', async () => {
  await done('buckets', 'create', 'shelf')
  const rows = JSON.parse(await done('buckets', 'list', '--json'))
  assert.ok(rows.some(({ name }: { name: string }) => name === 'shelf'))
  const file = join(folder, 'note.txt')
  await writeFile(file, 'hello')
  await done('objects', 'copy', file, 's3://shelf/')
  const stat = JSON.parse(await done('buckets', 'stat', 'shelf', '--json'))
  assert.deepEqual([stat.objects, stat.bytes, stat.versioning], [1, 5, 'Off'])
  assert.match(await done('buckets', 'location', 's3://shelf'), /shelf/)
  const full = await run(['buckets', 'delete', 'shelf'])
  assert.equal(full.code, 1)
  assert.match(full.errors, /^meridian: BucketNotEmpty: .*--force\n$/)
  await done('buckets', 'delete', 'shelf', '--force')
  const gone = await run(['buckets', 'stat', 'shelf'])
  assert.match(gone.errors, /^meridian: NotFound: .*there is no such object or bucket\n$/)
})

test('a folder goes up and comes down as it was, and objects are copied, listed and removed', async () => {
  const bucket = await harness.makeBucket()
  const there = join(folder, 'tree')
  const files: Readonly<Record<string, Buffer>> = {
    'a.txt': Buffer.from('a'),
    'deep/er/ü b.bin': randomBytes(6 * 2 ** 20 + 1),
    empty: Buffer.alloc(0),
  }
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(join(there, name, '..'), { recursive: true })
    await writeFile(join(there, name), bytes)
  }
  const copied = await done('objects', 'copy', there, `s3://${bucket}/up`, '--recursive', '--part-mib', '5', '--json')
  assert.equal(copied.trim().split('\n').length, 3)
  const folders = await done('objects', 'list', `s3://${bucket}/up/`)
  assert.match(folders, /up\/deep\/\n/)
  await done('objects', 'copy', `s3://${bucket}/up`, `s3://${bucket}/over`, '--recursive')
  const back = join(folder, 'back')
  await done('objects', 'copy', `s3://${bucket}/over`, back, '--recursive', '--part-mib', '5')
  for (const [name, bytes] of Object.entries(files)) {
    assert.equal(digest(await readFile(join(back, name))), digest(bytes), name)
  }
  assert.match(await done('objects', 'remove', `s3://${bucket}/up`, '--recursive'), /^deleted 3 objects\n$/)
  assert.equal((await done('objects', 'list', `s3://${bucket}/up`, '--json')).trim(), '')
  const alone = await run(['objects', 'copy', there, `s3://${bucket}/up`])
  assert.match(alone.errors, /^meridian: .* is a folder: .*--recursive\n$/)
})

test('a key that would leave the folder is not written', async () => {
  const bucket = await harness.makeBucket()
  await harness.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'x/../../escaped', Body: 'x' }))
  const down = await run(['objects', 'copy', `s3://${bucket}/x`, join(folder, 'cage'), '--recursive'])
  assert.equal(down.code, 1)
  assert.match(down.errors, /outside/)
  await assert.rejects(readFile(join(folder, 'escaped')))
})

test('--resume sends what an earlier try has not sent, and nothing else', async () => {
  const bucket = await harness.makeBucket()
  const bytes = randomBytes(12 * 2 ** 20)
  const part = 5 * 2 ** 20
  const path = join(folder, 'large')
  await writeFile(path, bytes)
  const place = { Bucket: bucket, Key: 'large' }
  const { UploadId } = await harness.client.send(new CreateMultipartUploadCommand(place))
  // One part of before is right, one is of other bytes.
  const right = { ...place, UploadId, PartNumber: 1, Body: bytes.subarray(0, part) }
  await harness.client.send(new UploadPartCommand(right))
  await harness.client.send(new UploadPartCommand({ ...place, UploadId, PartNumber: 2, Body: randomBytes(part) }))
  await done('objects', 'copy', path, `s3://${bucket}/large`, '--part-mib', '5', '--resume')
  const { Uploads = [] } = await harness.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  assert.deepEqual(Uploads, [], 'it went on with that upload, and finished it')
  const down = join(folder, 'large-down')
  // Part 1 of an earlier try is on the disk; were it fetched again, these bytes would be overwritten.
  const marked = Buffer.from(bytes)
  marked[7] = (marked[7] ?? 0) ^ 255
  await writeFile(`${down}.meridian-partial`, marked.subarray(0, part))
  const { body } = await fetch((await done('objects', 'presign', `s3://${bucket}/large`)).trim()).then((answer) => ({
    body: answer,
  }))
  await body.body?.cancel()
  const state = { etag: body.headers.get('etag'), partBytes: part, done: [1] }
  await writeFile(`${down}.meridian-state`, JSON.stringify(state))
  await done('objects', 'copy', `s3://${bucket}/large`, down, '--part-mib', '5')
  assert.equal(digest(await readFile(down)), digest(marked))
})

test('a presigned URL is good for whoever has it, also to put, for its key alone', async () => {
  const bucket = await harness.makeBucket()
  const put = (await done('objects', 'presign', `s3://${bucket}/a b/ü+`, '--method', 'PUT', '--expires', '5m')).trim()
  assert.equal((await fetch(put, { method: 'PUT', body: 'by a friend' })).status, 200)
  const get = JSON.parse(await done('objects', 'presign', `s3://${bucket}/a b/ü+`, '--json'))
  assert.equal(await (await fetch(get.url)).text(), 'by a friend')
  assert.equal((await fetch(get.url.replace('%2B?', '%2C?'))).status, 403)
  const wrong = await run(['objects', 'presign', `s3://${bucket}/a`, '--expires', 'soon'])
  assert.match(wrong.errors, /90s, 15m, 12h, 7d/)
})

test('what goes wrong is told in a line that says what to do', async () => {
  const nobody = await run(['buckets', 'list'], { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9' })
  assert.equal(nobody.code, 1)
  assert.match(nobody.errors, /^meridian: http:\/\/127\.0\.0\.1:9 does not answer \(ECONNREFUSED\): .*--endpoint/)
  const unknown = await run(['buckets', 'list'], { AWS_ACCESS_KEY_ID: 'NOSUCHKEY' })
  assert.match(unknown.errors, /^meridian: InvalidAccessKeyId: .*AWS_ACCESS_KEY_ID/)
  const secret = await run(['buckets', 'list'], { AWS_SECRET_ACCESS_KEY: 'wrong-wrong-wrong' })
  assert.match(secret.errors, /^meridian: SignatureDoesNotMatch: .*AWS_SECRET_ACCESS_KEY/)
  const none = await run(['buckets', 'list'], { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' })
  assert.match(none.errors, /AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/)
  for (const words of [
    ['buckets', 'stat'],
    ['objects', 'copy', 'a'],
    ['buckets', 'list', 'x'],
    ['objects', 'list', '--what'],
  ]) {
    assert.equal((await run(words)).code, 2, words.join(' '))
  }
})

test('usage is shown, and a recount finds it right', async () => {
  const bucket = await harness.makeBucket()
  await harness.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'some bytes' }))
  for (const end = Date.now() + 20_000; ; ) {
    const rows = JSON.parse(await done('usage', 'show', '--bucket', bucket, '--json'))
    if (rows.some((row: { metric: string; class: string }) => row.metric === 'requests' && row.class === 'A')) break
    assert.ok(Date.now() < end)
  }
  // What `serve` marks its directories with.
  const marked = join(folder, 'marked')
  new DataDirectory(marked).prepare()
  await copyFile(join(marked, 'meridian.json'), join(harness.data, 'meridian.json'))
  const recount = await done('usage', 'recount', '--data', harness.data, '--bucket', bucket, '--json')
  assert.deepEqual(JSON.parse(recount), [{ bucket, class: 'STANDARD', objects: '1', bytes: '10', state: 'right' }])
})

test('completions know all commands and flags, and bash takes them', async () => {
  const script = await done('completions', 'bash')
  const complete = (line: readonly string[]): readonly string[] => {
    const words = line.map((word) => `'${word}'`).join(' ')
    const ask = `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=${line.length - 1}; _meridian; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', ask], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    return stdout.trim().split('\n')
  }
  assert.ok(complete(['meridian', 'ob']).includes('objects'))
  assert.deepEqual(complete(['meridian', 'objects', 'pre']), ['presign'])
  assert.deepEqual(complete(['meridian', 'objects', 'copy', '--par']), ['--parallel', '--part-mib'])
  assert.ok(complete(['meridian', 'serve', '--shadow']).includes('--shadow-endpoints'))
  for (const shell of ['zsh', 'fish']) {
    const text = await done('completions', shell)
    for (const word of ['presign', 'migrate', 'recount', 'write-through'])
      assert.ok(text.includes(word), `${shell} ${word}`)
    const parsed = spawnSync(shell, ['-n'], { input: text, encoding: 'utf8' })
    if (parsed.error === undefined) assert.equal(parsed.status, 0, parsed.stderr)
  }
  assert.equal((await run(['completions', 'tcsh'])).code, 1)
})

test('top tells rates from two looks at the metrics', async () => {
  let count = 100
  const server = createServer((_, response) => {
    count += 50
    response.end(
      [
        '# HELP meridian_requests_total Requests.',
        '# TYPE meridian_requests_total counter',
        `meridian_requests_total{operation="GetObject",status="200"} ${count}`,
        'meridian_requests_total{operation="PutObject",status="200"} 7',
        `meridian_request_duration_seconds_sum{operation="GetObject"} ${count / 1000}`,
        `meridian_request_duration_seconds_count{operation="GetObject"} ${count}`,
        'meridian_volume_used_bytes{volume="v\\"1"} 2048',
        'meridian_feed_lag_seconds{peer="iad"} 0.25',
      ].join('\n'),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
    const told = JSON.parse(await done('top', '--metrics', url, '--every', '0.2', '--once', '--json'))
    assert.equal(told.requests[0].operation, 'GetObject')
    assert.ok(told.requests[0]['per second'] > 0)
    assert.equal(told.requests[0]['mean ms'], 1)
    assert.deepEqual(told.lag, [{ region: 'iad', seconds: 0.25 }])
    assert.deepEqual(told.volumes, [{ volume: 'v"1', used: 2048, dead: 0, free: 0 }])
    assert.match(await done('top', '--metrics', url, '--every', '0.2', '--once'), /OPERATION +PER SECOND/)
  } finally {
    server.closeAllConnections()
    server.close()
  }
  const look = (at: number, value: number) => ({ at, samples: parseExposition(`meridian_requests_total ${value}`) })
  assert.equal(topReport(look(0, 10), look(5, 60)).requestsPerSecond, 10)
  // A server that was started again counts from nothing.
  assert.equal(topReport(look(0, 100), look(5, 10)).requestsPerSecond, 0)
})

test('parts cover a file, and no more than S3 takes', async () => {
  const MiB = 2 ** 20
  for (const size of [0, 1, 5 * MiB, 5 * MiB + 1, 200_000 * MiB]) {
    const parts = partsOf(size, 5 * MiB)
    assert.ok(parts.length <= 10_000)
    let at = 0
    for (const { from, to } of parts) {
      assert.equal(from, at)
      at = to
    }
    assert.equal(at, size)
  }
  let running = 0
  let most = 0
  const one = async (item: number): Promise<void> => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    if (item === 20) throw new Error('the twentieth')
  }
  await assert.rejects(
    inParallel(
      Array.from({ length: 40 }, (_, at) => at),
      3,
      one,
    ),
    /the twentieth/,
  )
  assert.deepEqual([most, running], [3, 0])
})

test('a bar is drawn on a terminal alone, and says how far it is', () => {
  const written: string[] = []
  const out = (isTTY: boolean) => ({
    isTTY,
    columns: 100,
    write: (text: string) => {
      written.push(text)
      return true
    },
  })
  const quiet = new Progress(out(false) as unknown as NodeJS.WriteStream)
  quiet.expect(100)
  quiet.add(50)
  quiet.close()
  assert.deepEqual(written, [])
  const progress = new Progress(out(true) as unknown as NodeJS.WriteStream)
  progress.expect(2048)
  progress.begin('file')
  progress.add(1024)
  assert.match(progress.line(performance.now()), /^\[=+ +\] 50% 1\.0 KiB of 2\.0 KiB, .*\/s.* file$/)
  progress.close()
  assert.ok(written.length >= 2)
})
