import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { attributes, body } from '../service/cell.ts'
import { begin, bucket, copy, type FedRegion, type FedRegions, get, guard, only, put, three } from './fed-regions.ts'
import { change, find, holding } from './holdings.ts'

const isFault = (code: string) => (error: unknown) => error instanceof Fault && error.code === code

/** What becomes of `syd`, of three. */
const losses: readonly [string, (all: FedRegions) => Promise<void>][] = [
  [
    'is lost',
    async ({ cluster, peers }) => {
      peers.faultsOf(3).isDown = true
      change(cluster, 3, 'removed')
    },
  ],
  ['is about to go', async ({ cluster }) => change(cluster, 3, 'leaving')],
  [
    'is none of the bucket any more',
    async ({ regions }) => {
      for (const { cell } of regions) await cell.buckets.update(bucket, (each) => ({ ...each, location: 'fra,iad' }))
    },
  ],
]

const append = ({ objects }: FedRegion, key: string, offset: number, bytes: Uint8Array) =>
  objects.append({
    ...{ name: { bucket, key }, attributes, body: body(bytes), digests: {}, conditions: {}, guard },
    ...{ offset, asksEncryption: false },
  })

describe('C17 C20: a region that was named, and of whose likes too few are left', () => {
  for (const [how, lose] of losses) {
    test(`D3: ${how}: its uploads end, and its objects are written, where those are that are left`, async () => {
      const all = await three(2)
      const { fra, iad } = all
      const [first, second, more] = [randomBytes(5 * 2 ** 20), randomBytes(1000), randomBytes(500)]
      await put(fra, 'log', first, bucket, only('fra', 'syd'))
      await put(fra, 'named', second, bucket, only('fra', 'syd'))
      const begun = await begin(fra, 'parts', only('fra', 'syd'))
      await begun.send(first)
      await lose(all)
      await begun.send(second)
      const { version } = await begun.complete()
      // Its record is in as many regions as ever, once it is answered.
      assert.equal((await find(iad, 'parts'))?.stamp, version.stamp)
      const log = await append(fra, 'log', first.length, more)
      assert.equal((await find(iad, 'log'))?.stamp, log.version.stamp)
      const named = { name: { bucket, key: 'named' }, guard }
      await fra.objects.update({ ...named, change: () => ({ tags: new Map([['kept', 'yes']]) }) })
      const [source, target] = [named.name, { bucket, key: 'renamed' }]
      await fra.objects.rename({ source, target, conditions: {}, sourceConditions: {}, guard, sourceGuard: guard })
      await copy(fra, 'renamed', 'copied', only('fra', 'iad'))
      const expected = {
        parts: Buffer.concat([first, second]),
        log: Buffer.concat([first, more]),
        renamed: second,
        copied: second,
      }
      for (const [key, bytes] of Object.entries(expected)) {
        for (const region of [fra, iad]) assert.ok((await get(region, key)).equals(bytes), key)
        assert.equal(await holding([fra, iad], key), key === 'copied' ? 'fra,iad' : 'fra', key)
      }
      assert.deepEqual((await find(fra, 'parts'))?.regions, ['fra', 'syd'])
      const isRefused = isFault('InvalidRequest')
      await assert.rejects(put(fra, 'one', second, bucket, only('fra')), isRefused)
      await assert.rejects(copy(fra, 'renamed', 'one', only('fra')), isRefused)
      await assert.rejects(begin(fra, 'one', only('fra')), isRefused)
    })
  }

  test('D3: what only regions that are gone were to keep is in as many as any other, once it is written', async () => {
    const all = await three(2)
    const { fra, iad } = all
    const change = async (asked: { readonly durability: number; readonly location?: string }): Promise<void> => {
      for (const { cell } of all.regions) await cell.buckets.update(bucket, (each) => ({ ...each, ...asked }))
    }
    await change({ durability: 1 })
    const begun = await begin(fra, 'parts', only('syd'))
    await begun.send(randomBytes(1000))
    await change({ durability: 2, location: 'fra,iad' })
    await begun.complete()
    assert.equal(await holding([fra, iad], 'parts'), 'fra,iad')
  })

  test('D3: a write is refused while none hears of it that its bytes may not be in', async () => {
    const all = await three(2)
    const { fra, peers } = all
    const begun = await begin(fra, 'parts', only('fra', 'syd'))
    await begun.send(randomBytes(1000))
    change(all.cluster, 3, 'removed')
    for (const cell of [2, 3]) peers.faultsOf(cell).isDown = true
    await assert.rejects(begun.complete(), isFault('ServiceUnavailable'))
    assert.equal(await find(fra, 'parts'), undefined)
    peers.faultsOf(2).isDown = false
    let isHeard = false
    peers.between = async (call) => {
      if (call === '2 reached') isHeard = true
    }
    await begun.complete()
    assert.ok(isHeard, 'it is answered once another region has the record')
    assert.equal(await holding([fra], 'parts'), 'fra')
  })
})
