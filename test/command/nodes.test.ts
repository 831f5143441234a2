import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { type RunningNode, SharedCell } from '../support/shared-cell.ts'
import { meridian } from './command.ts'

const reason = whyNoFoundationDb()
if (reason !== undefined) {
  test('several nodes of a region on FoundationDB', { skip: `NOT SHOWN: ${reason}` }, () => {})
} else {
  const cluster = await TestCluster.start()
  const cells: SharedCell[] = []
  after(async () => {
    for (const cell of cells) await cell.stop()
    await cluster.stop()
  })
  const newCell = (): SharedCell => {
    const cell = new SharedCell(cluster)
    cells.push(cell)
    return cell
  }

  const put = async ({ client }: RunningNode, path: string, body: Buffer, query = {}): Promise<string> => {
    const answer = await client.send({ method: 'PUT', path, body, query })
    assert.equal(answer.status, 200, answer.body.toString())
    return String(answer.headers['etag'])
  }
  const read = async ({ client, server }: RunningNode, path: string, headers = {}): Promise<Buffer> => {
    const answer = await client.send({ method: 'GET', path, headers })
    assert.ok(answer.status === 200 || answer.status === 206, `${path}: ${answer.status} ${server.errors}`)
    return answer.body
  }
  const statusOf = async ({ client }: RunningNode, path: string, method = 'GET'): Promise<number> =>
    (await client.send({ method, path })).status

  /** Bounded by the test's own limit. */
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    while (!(await isSo())) await new Promise((wake) => setTimeout(wake, 250))
  }

  const nodesOf = async (cell: SharedCell, name: string) => {
    const { output, errors } = await meridian(
      'nodes',
      'list',
      '--data',
      cell.dataOf(name),
      ...cell.metadataFlags,
      '--json',
    )
    assert.ok(output !== '', errors)
    return JSON.parse(output) as readonly {
      readonly node: string
      readonly leads: boolean
      readonly isHere: boolean
      readonly volumes: readonly string[]
    }[]
  }

  test("N4: nodes of a region read each other's bytes, and one that was killed takes along only what it alone has", async () => {
    const cell = newCell()
    const one = await cell.start('one', 2)
    const two = await cell.start('two')
    assert.equal((await one.client.send({ method: 'PUT', path: '/shared' })).status, 200)
    const large = { one: randomBytes(700_001), two: randomBytes(300_000) }
    await put(one, '/shared/of-one', large.one)
    await put(two, '/shared/of-two', large.two)
    await put(two, '/shared/small', Buffer.from('beside the record'))
    assert.ok((await read(two, '/shared/of-one')).equals(large.one))
    try {
      await read(one, '/shared/of-two')
    } catch (e) {
      await new Promise((w) => setTimeout(w, 1500))
      console.log('TWO', two.server.errors)
      throw e
    }
    assert.ok((await read(one, '/shared/of-two')).equals(large.two))
    const part = await read(two, '/shared/of-one', { range: 'bytes=131000-400000' })
    assert.ok(part.equals(large.one.subarray(131_000, 400_001)))

    const begun = await one.client.send({ method: 'POST', path: '/shared/parts', query: { uploads: '' } })
    const uploadId = /<UploadId>([^<]+)</.exec(begun.body.toString())?.[1] ?? ''
    const parts = [randomBytes(5 * 2 ** 20), randomBytes(6 * 2 ** 20), randomBytes(1_000)]
    const tags: string[] = []
    for (const [index, body] of parts.entries()) {
      const node = index % 2 === 0 ? one : two
      tags.push(await put(node, '/shared/parts', body, { partNumber: String(index + 1), uploadId }))
    }
    const list = tags.map((tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${tag}</ETag></Part>`)
    const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)
    const done = await two.client.send({ method: 'POST', path: '/shared/parts', query: { uploadId }, body })
    assert.equal(done.status, 200, done.body.toString())
    for (const node of [one, two]) assert.ok((await read(node, '/shared/parts')).equals(Buffer.concat(parts)))

    const rows = await nodesOf(cell, 'two')
    assert.equal(rows.length, 2)
    assert.ok(rows.every(({ volumes }) => volumes.length === 1))
    assert.deepEqual(
      rows.map(({ leads, isHere }) => leads !== isHere),
      [true, true],
      'the first leads, and two looks',
    )

    await one.server.kill()
    assert.equal(await statusOf(two, '/shared/of-one'), 503)
    assert.equal(await statusOf(two, '/shared/of-one', 'HEAD'), 200)
    assert.equal(await statusOf(two, '/shared/never'), 404)
    assert.ok((await read(two, '/shared/of-two')).equals(large.two))
    assert.equal((await read(two, '/shared/small')).toString(), 'beside the record')
    await put(two, '/shared/after', large.two)
    // N3: what is done once is done by the other from now on.
    await until(async () => (await nodesOf(cell, 'two')).some(({ leads, isHere }) => leads && isHere))

    const again = await cell.start('one')
    assert.ok((await read(again, '/shared/of-one')).equals(large.one))
    assert.ok((await read(again, '/shared/after')).equals(large.two))
    await until(async () => (await statusOf(two, '/shared/of-one')) === 200)
    assert.ok((await read(two, '/shared/of-one')).equals(large.one))
    for (const name of ['one', 'two']) {
      const scrub = await meridian(
        'volumes',
        'scrub',
        '--data',
        cell.dataOf(name),
        ...cell.metadataFlags,
        '--region',
        'fra',
      )
      assert.equal(scrub.code, 0, scrub.output + scrub.errors)
      assert.match(scrub.output, / 0 damaged, \d+ blobs are elsewhere/)
    }
  })

  test('C24: what one gateway was told of policies and keys, another goes by at the very next request', async () => {
    const cell = newCell()
    const [one, two] = [await cell.start('one'), await cell.start('two')]
    assert.equal((await one.client.send({ method: 'PUT', path: '/open' })).status, 200)
    await put(one, '/open/object', Buffer.from('for all'))
    const anonymous = async (node: RunningNode): Promise<number> =>
      (await fetch(`${node.server.endpoint}/open/object`)).status
    const policy = Buffer.from(
      JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::open/*' }],
      }),
    )
    const query = { policy: '' }
    const told = { allowed: 0, refused: 0 }
    for (let round = 0; round < 15; round++) {
      const [teller, asked] = round % 2 === 0 ? [one, two] : [two, one]
      const allow = await teller.client.send({ method: 'PUT', path: '/open', query, body: policy })
      assert.ok(allow.status < 300, allow.body.toString())
      if ((await anonymous(asked)) === 200) told.allowed++
      const deny = await teller.client.send({ method: 'DELETE', path: '/open', query })
      assert.ok(deny.status < 300, deny.body.toString())
      if ((await anonymous(asked)) === 403) told.refused++
    }
    assert.deepEqual(told, { allowed: 15, refused: 15 })
  })

  test('N1: a node with a volume of another, or without the secret, is refused', async () => {
    const cell = newCell()
    const one = await cell.start('one')
    const { errors: noSecret, code } = await meridian(
      ...['serve', '--port', '0', '--data', cell.dataOf('three'), ...cell.metadataFlags],
    )
    assert.equal(code, 1)
    assert.match(noSecret, /belongs to another data directory/)
    const copy = join(cell.folder, 'copied-volume')
    cpSync(join(one.data, 'volumes', '0'), copy, { recursive: true, filter: (file) => !file.includes('claims') })
    const twin = await meridian(
      ...['serve', '--port', '0', '--workers', '1', '--data', cell.dataOf('three'), ...cell.flags, '--volumes', copy],
    )
    assert.equal(twin.code, 1)
    assert.match(twin.errors, /belongs to the node/)
  })

  test('a node that was removed does not come back, and its volumes may be taken', async () => {
    const cell = newCell()
    const one = await cell.start('one')
    const two = await cell.start('two')
    const body = randomBytes(200_000)
    assert.equal((await one.client.send({ method: 'PUT', path: '/moved' })).status, 200)
    await put(one, '/moved/object', body)
    await one.server.kill()
    assert.equal(await two.server.stop(), 0)
    const [gone] = (await nodesOf(cell, 'two')).filter(({ isHere }) => !isHere)
    const words = ['nodes', 'remove', '--data', cell.dataOf('two'), ...cell.metadataFlags, '--node', gone?.node ?? '']
    assert.equal((await meridian(...words, '--force')).code, 0)
    const refused = await meridian('serve', '--port', '0', '--data', one.data, ...cell.flags)
    assert.equal(refused.code, 1)
    assert.match(refused.errors, /it was removed/)
    // Its disk is put into the other one.
    const volumes = [join(two.data, 'volumes', '0'), join(one.data, 'volumes', '0')]
    const again = await cell.start('two', 1, ['--volumes', volumes.join(',')])
    assert.ok((await read(again, '/moved/object')).equals(body))
  })
}
