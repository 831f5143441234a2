import { defineCommand } from 'citty'
import type { Setting } from '#src/config/load.ts'
import { Fault } from '#src/errors.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'
import { type OpenMaintenance, openMaintenance } from '#src/open/beside.ts'
import { Conflicts, type ConflictsMark } from '#src/service/conflicts.ts'
import { silentLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const pageMost = 1_000

const settings: readonly Setting[] = [...metadataSettings, 'keyFile']

const shared = {
  ...flagsOf(settings),
  bucket: { type: 'string', required: true, description: 'the bucket', valueHint: 'name' },
} as const

const named = {
  ...shared,
  key: { type: 'string', required: true, description: 'the key of the object', valueHint: 'key' },
  id: {
    type: 'string',
    required: true,
    description: 'which of those that lost, as `list` names them',
    valueHint: 'id',
  },
  json: { type: 'boolean', description: 'print JSON' },
} as const

type Named = Readonly<Record<string, unknown>> & { readonly bucket: string }

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** A region that does not have a bucket knows of no conflict in it, which must not look as if there were none. */
async function checkIsHere({ foundation, standing }: OpenMaintenance, name: string): Promise<void> {
  const { store, namespace } = foundation
  const { location } = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, name))
  if (standing === undefined) return
  const { self, membership } = standing
  const cells = cellsOf(location, membership)
  if (cells.includes(self.cell)) return
  const regions = cells.flatMap((cell) => memberOf(membership, cell)?.region ?? [])
  throw new Error(
    `${name} is not in this region: ${regions.length === 0 ? 'it is in none' : `ask one of ${regions.join(', ')}`}`,
  )
}

/** To a client of S3 it would be a version that there is not. */
function told(error: unknown): never {
  if (!(error instanceof Fault) || error.code !== 'NoSuchVersion') throw error
  const message =
    'there is no such conflict: it is settled, or its time is over. `meridian conflicts list` shows those there are'
  throw new Error(message, { cause: error })
}

/** Also beside a server that runs on the same directory. */
async function withConflicts(args: Named, body: (conflicts: Conflicts) => Promise<void>): Promise<void> {
  const config = configOfUsed(settings, args)
  const opened = await openMaintenance(config, realWorld, silentLog)
  try {
    await checkIsHere(opened, args.bucket)
    await body(new Conflicts(opened.foundation)).catch(told)
  } finally {
    await opened.close()
  }
}

const list = defineCommand({
  meta: { name: 'list', description: 'Writes that lost to one of another region that had not seen them' },
  args: {
    ...shared,
    prefix: { type: 'string', description: 'of keys that start so only', valueHint: 'prefix' },
    json: { type: 'boolean', description: 'print a line of JSON for each' },
  },
  run: ({ args }) =>
    withConflicts(args, async (conflicts) => {
      let after: ConflictsMark | undefined
      do {
        const mark = after === undefined ? {} : { after }
        const prefix = args.prefix === undefined ? {} : { prefix: args.prefix }
        const page = await conflicts.list(args.bucket, { ...prefix, ...mark, limit: pageMost })
        for (const { key, id, version, expires } of page.conflicts) {
          const { size, etag, modified } = version
          const [written, until] = [new Date(modified).toISOString(), new Date(expires).toISOString()]
          if (args.json === true) print(JSON.stringify({ key, id, size, etag, written, expires: until }))
          else print(`${id}  ${String(size).padStart(12)}  written ${written}  kept until ${until}  ${key}`)
        }
        after = page.next
      } while (after !== undefined)
    }),
})

const restore = defineCommand({
  meta: { name: 'restore', description: 'Make what was lost the newest version of its key' },
  args: named,
  run: ({ args }) =>
    withConflicts(args, async (conflicts) => {
      const { bucket, key, id } = args
      await conflicts.restore({ name: { bucket, key }, id })
      print(args.json === true ? JSON.stringify({ key, id, restored: true }) : `restored ${key}`)
    }),
})

const discard = defineCommand({
  meta: { name: 'discard', description: 'Let go of what was lost, in all regions' },
  args: named,
  run: ({ args }) =>
    withConflicts(args, async (conflicts) => {
      const { bucket, key, id } = args
      await conflicts.discard({ name: { bucket, key }, id })
      print(args.json === true ? JSON.stringify({ key, id, discarded: true }) : `discarded ${key}`)
    }),
})

export const conflictsCommand = defineCommand({
  meta: { name: 'conflicts', description: 'What was lost when regions wrote one key at once, and how to have it back' },
  subCommands: { list, restore, discard },
})
