import { defineCommand } from 'citty'
import { openUsageKeeper } from '#src/open/beside.ts'
import { realWorld } from '#src/world.ts'
import { CannotDo, connected, connectionFlags } from './client/connection.ts'
import { print, report, table } from './client/printing.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

interface Row {
  readonly period: string
  readonly account: string
  readonly bucket: string
  readonly region: string
  readonly metric: string
  readonly class: string
  readonly value: number | string
}

const firstOfMonth = (): string => `${new Date().toISOString().slice(0, 8)}01`
const today = (): string => new Date().toISOString().slice(0, 10)

const show = defineCommand({
  meta: { name: 'show', description: 'Show what buckets used, of this month unless --from and --to say otherwise' },
  args: {
    from: { type: 'string', description: 'the first day', valueHint: 'day' },
    to: { type: 'string', description: 'the last day', valueHint: 'day' },
    by: { type: 'string', description: 'day or month', default: 'month', valueHint: 'day|month' },
    bucket: { type: 'string', description: 'of this bucket only', valueHint: 'name' },
    account: { type: 'string', description: 'of this account, or all; for administrators', valueHint: 'id|all' },
    csv: { type: 'boolean', description: 'print CSV' },
    ...connectionFlags,
  },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const query = {
        'meridian-usage': '',
        from: args.from ?? firstOfMonth(),
        to: args.to ?? today(),
        by: args.by,
        format: args.csv === true ? 'csv' : 'json',
        ...(args.bucket !== undefined && { bucket: args.bucket }),
        ...(args.account !== undefined && { account: args.account }),
      }
      const text = await connection.ask('GET', await connection.url(), { query })
      if (args.csv === true) {
        process.stdout.write(text)
        return
      }
      const { usage } = JSON.parse(text) as { readonly usage: readonly Row[] }
      if (args.json === true) print(JSON.stringify(usage, undefined, 2))
      else if (usage.length > 0) print(table(usage.map((row) => ({ ...row, account: row.account.slice(0, 12) }))))
    }),
})

const recount = defineCommand({
  meta: { name: 'recount', description: 'Count every version again, and compare; also beside a running server' },
  args: {
    ...flagsOf(metadataSettings),
    bucket: { type: 'string', description: 'of this bucket only', valueHint: 'name' },
    repair: { type: 'boolean', description: 'mend what is off' },
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const { keeper, buckets, store } = await openUsageKeeper(configOfUsed(metadataSettings, args), realWorld)
    try {
      const rows: Readonly<Record<string, string>>[] = []
      let isOff = false
      for (const each of await buckets()) {
        if (args.bucket !== undefined && each.name !== args.bucket) continue
        const found = await keeper.recount(each, args.repair === true)
        if (found === undefined) {
          rows.push({ bucket: each.name, class: '', objects: '', bytes: '', state: 'changes too fast: try again' })
          isOff = true
          continue
        }
        for (const [storageClass, { objects, bytes }] of found.off) {
          const state = found.isMended ? 'mended' : 'off by'
          rows.push({ bucket: each.name, class: storageClass, objects: `${objects}`, bytes: `${bytes}`, state })
          isOff ||= !found.isMended
        }
        if (found.off.size > 0) continue
        for (const [storageClass, { objects, bytes }] of found.counted) {
          rows.push({
            bucket: each.name,
            class: storageClass,
            objects: `${objects}`,
            bytes: `${bytes}`,
            state: 'right',
          })
        }
      }
      report(rows, args.json)
      if (isOff) throw new CannotDo('the counts are not what a recount gives: --repair mends them')
    } finally {
      await store.close()
    }
  },
})

export const usageCommand = defineCommand({
  meta: { name: 'usage', description: 'Show what buckets used, and verify it' },
  subCommands: { show, recount },
})
