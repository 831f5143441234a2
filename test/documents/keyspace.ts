import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Subspace, subspace } from '#src/metadata/keyspace.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'
import { attributes, body, openCell } from '../service/cell.ts'

/** What docs/keyspace.md prints of the code: the tables of its headers, and the rows that a few requests leave. */

const metadata = join(import.meta.dirname, '../../src/metadata')
const header = (file: string): string => readFileSync(join(metadata, file), 'utf8')

const cells = (line: string): readonly string[] =>
  line
    .replace(/^ \* \|/, '')
    .replace(/\|\s*$/, '')
    .split('|')
    .map((each) => each.trim())

const table = (rows: readonly (readonly string[])[]): string => rows.map((row) => `| ${row.join(' | ')} |`).join('\n')

const byteOf = (name: string): string => {
  const byte: number | undefined = (subspace as Readonly<Record<string, number>>)[name]
  return byte === undefined ? '' : byte.toString(16).padStart(2, '0')
}

/** The table of keyspace.ts, with the byte that stands for each subspace. */
export function subspaceTable(): string {
  const lines = header('keyspace.ts')
    .split('\n')
    .filter((line) => line.startsWith(' * |'))
    .map(cells)
  const rows: (readonly string[])[] = [
    ['byte', 'subspace', 'tuple', 'value (written by)'],
    ['---', '---', '---', '---'],
  ]
  for (const [name = '', tuple = '', value = ''] of lines.slice(2)) {
    const last = rows.at(-1)
    // A row that goes on says so by an empty first cell.
    if (name === '' && last !== undefined) rows[rows.length - 1] = [...last.slice(0, -1), `${last.at(-1)} ${value}`]
    else rows.push([byteOf(name), name, tuple, value])
  }
  return table(rows)
}

/** The names in the table of keyspace.ts. */
export const tabledSubspaces = (): readonly string[] =>
  subspaceTable()
    .split('\n')
    .slice(2)
    .map((line) => line.split('|')[2]?.trim() ?? '')

/** The list of namespace-keys.ts. */
export function namespaceTable(): string {
  const found = [...header('namespace-keys.ts').matchAll(/^ \* (\d.*?) {2,}(.*)$/gm)]
  return table([
    ['tuple behind `01`', 'value'],
    ['---', '---'],
    ...found.map(([, key = '', value = '']) => [key, value]),
  ])
}

const time = Date.UTC(2026, 0, 1)

/** Always the same time and the same chance, so that the same rows come of it, however often chance is asked. */
const stillWorld: World = {
  ...realWorld,
  now: () => time,
  nowMicroseconds: () => BigInt(time) * 1000n,
  monotonic: () => 0,
  randomBytes: (size) => new Uint8Array(size).fill(0xab),
}

const names = new Map(Object.entries(subspace).map(([name, byte]) => [byte as number, name as Subspace]))

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** JSON, as some rows have it behind their format, as it is. */
function shown(value: Uint8Array): string {
  if (value.length === 0) return ''
  const text = Buffer.from(value).toString('utf8')
  if (text.startsWith('{')) return `\`${text}\``
  return value[0] === 1 && /^[{"\d]/.test(text.slice(1)) ? `\`01\` \`${text.slice(1)}\`` : `\`${hex(value)}\``
}

async function rowsOf(store: Store): Promise<ReadonlyMap<string, string>> {
  const entries = await store.snapshot((snapshot) =>
    snapshot.range(Uint8Array.of(0), Uint8Array.of(0xff), { limit: 1000 }),
  )
  return new Map(
    entries.map(({ key, value }) => [`${names.get(key[0] ?? 0) ?? ''} | \`${hex(key)}\``, shown(value)] as const),
  )
}

const step = (title: string, rows: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): string => {
  const changed = [...rows].filter(([key, value]) => before.get(key) !== value).map(([key, value]) => [key, value])
  const gone = [...before.keys()].filter((key) => !rows.has(key)).map((key) => [key, 'cleared'])
  return `${title}\n\n${table([['subspace', 'key', 'value'], ['---', '---', '---'], ...changed, ...gone])}`
}

/** The rows that a few requests leave, step by step, as cell 7 writes them. */
export async function exampleRows(): Promise<string> {
  const cell = await openCell(stillWorld)
  const { store, buckets, objects } = cell
  const guard = (): void => {}
  const bucket = 'photos'
  const put = (key: string, size: number) =>
    objects.put({
      name: { bucket, key },
      body: body(Buffer.alloc(size, key)),
      attributes,
      digests: {},
      conditions: {},
      guard,
    })
  const steps: string[] = []
  let before: ReadonlyMap<string, string> = new Map()
  const record = async (title: string): Promise<void> => {
    const rows = await rowsOf(store)
    steps.push(step(title, rows, before))
    before = rows
  }
  try {
    await buckets.create({
      name: bucket,
      owner: attributes.owner,
      acl: attributes.acl,
      location: '',
      hasObjectLock: false,
    })
    await record('CreateBucket `photos`:')
    await put('a', 5)
    await record('PutObject `a`, five bytes, which lie inline:')
    await put('b\0', 100)
    await record(
      'PutObject `b` and a NUL, a hundred bytes, which make a blob (the limit of inline objects is 16 here):',
    )
    const request = { name: { bucket, key: 'b\0' }, guard, conditions: {}, bypassGovernance: false, caller: 'owner' }
    await objects.delete(request)
    await record('DeleteObject of the same:')
    return steps.join('\n\n')
  } finally {
    await cell.close()
  }
}
