import type { Mutant } from './mutant.ts'

const keeping = 'src/metadata/keeping.ts'
const blobRecords = 'src/metadata/blob-records.ts'
const departureTest = ['test/cluster/departure.test.ts']
const promotionTest = ['test/cluster/promotion.test.ts']
const successionTest = ['test/cluster/succession.test.ts']

/** Of regions that leave, are lost, and become the root. */
export const memberMutants: readonly Mutant[] = [
  {
    name: 'heirs-count-hearsay',
    rule: 'K1',
    file: keeping,
    from: 'holders: own === undefined ? [] : [own] }))',
    to: 'holders: rest.holders }))',
    killers: successionTest,
  },
  {
    name: 'pages-tell-heirs-of-copies',
    rule: 'K1',
    file: blobRecords,
    from: '(known?.keeper ?? keeper) === here.cell',
    to: 'keeper === here.cell',
    killers: successionTest,
  },
  {
    name: 'copies-that-go-are-counted',
    rule: 'C19',
    file: keeping,
    from: '    .filter((region) => isCounted(region) && (',
    to: '    .filter((region) => (',
    killers: successionTest,
  },
  {
    name: 'others-than-the-keeper-let-go',
    rule: 'K1',
    file: keeping,
    from: "  if (record.keeper !== counting.here.cell) return 'wait'\n",
    to: '',
    killers: successionTest,
  },
  {
    name: 'heirs-do-not-ask-all',
    rule: 'K1',
    file: 'src/cluster/succession.ts',
    from: 'if (!isWhole || membership',
    to: 'if (membership',
    killers: successionTest,
  },
  {
    name: 'lost-before-all-were-asked',
    rule: 'K2',
    file: 'src/cluster/succession.ts',
    from: 'if (isWhole) lost.push(blob)',
    to: 'if (told.length > 0) lost.push(blob)',
    killers: successionTest,
  },
  {
    name: 'the-dead-are-not-mourned',
    rule: 'C16',
    file: 'src/cluster/keeper.ts',
    from: 'if (!(await mayCount(transaction, membership(), region)))',
    to: 'if (copies.length < 0)',
    killers: successionTest,
  },
  {
    name: 'roots-give-way-to-those-behind',
    rule: 'C25, Y16',
    file: 'src/cluster/promotion.ts',
    from: '    if (Buffer.compare(await readNamespaceHead(transaction), bytesOf(position)) !== 0) return undefined\n',
    to: '',
    killers: promotionTest,
  },
  {
    name: 'whoever-asks-replaces-a-lost-root',
    rule: 'C25, Y17',
    file: 'src/cluster/promotion.ts',
    from: '    if (Buffer.compare(bytesOf(theirs.position), bytesOf(own.position)) <= 0) return\n',
    to: '    if (own.isWhole) return\n',
    killers: promotionTest,
  },
  {
    name: 'a-lost-root-is-followed-on',
    rule: 'C25, Y17',
    file: 'src/cluster/namespace-follower.ts',
    from: '      if (cursor !== undefined) await this.#checkForsaken(transaction, cursor)\n',
    to: '',
    killers: promotionTest,
  },
  {
    name: 'reigns-are-not-told-apart',
    rule: 'C25, C15',
    file: 'src/cluster/promotion.ts',
    from: '  reignOf(membership) === 0 ? incarnation',
    to: '  reignOf(membership) >= 0 ? incarnation',
    killers: promotionTest,
  },
  {
    name: 'a-new-root-follows-the-old-one-on',
    rule: 'C25',
    file: 'src/cluster/promotion.ts',
    from: '      clearNamespaceCursor(transaction)\n',
    to: '',
    killers: promotionTest,
  },
  {
    name: 'who-left-writes-on',
    rule: 'L2',
    file: 'src/metadata/namespace-feed.ts',
    from: 'if (left !== undefined && (await left))',
    to: 'if (left !== undefined && changed.size > 0 && (await left))',
    killers: departureTest,
  },
  {
    name: 'who-leaves-takes-the-last-copy-along',
    rule: 'L1',
    file: 'src/cluster/departure.ts',
    from: ' && departure.behind.length === 0 && departure.blobs === 0',
    to: ' && departure.behind.length === 0',
    killers: departureTest,
  },
  {
    name: 'who-leaves-waits-for-nobody',
    rule: 'L1',
    file: 'src/cluster/departure.ts',
    from: ' && departure.behind.length === 0 && departure.blobs === 0',
    to: ' && departure.blobs === 0',
    killers: departureTest,
  },
  {
    name: 'what-began-meanwhile-is-cut-off',
    rule: 'L2',
    file: 'src/cluster/departure.ts',
    from: '      if ((await countWaiting(transaction)) > 0) return false\n',
    to: '',
    killers: departureTest,
  },
]
