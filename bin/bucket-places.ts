import { setTimeout as wait } from 'node:timers/promises'
import { GetBucketLocationCommand } from '@aws-sdk/client-s3'
import { defineCommand } from 'citty'
import { bucketArgument, bucketOf } from './client/bucket-names.ts'
import { CannotDo, type Connection, connected, connectionFlags } from './client/connection.ts'
import { report } from './client/printing.ts'

/** As `?metadata` tells it: docs/regions.md. */
interface Information {
  readonly object_regions: string
  readonly durability_regions?: number
  readonly location_change?: {
    readonly to: string
    readonly step: string
    readonly regions: readonly { readonly region: string; readonly done: boolean; readonly records_copied?: number }[]
  }
}

const lookMilliseconds = 500

/** SDKs that were told no region name `auto`, which is no region either. */
const everywhere = (regions: string): string => (regions === '' || regions === 'auto' ? 'global' : regions)

async function informationOf(connection: Connection, bucket: string): Promise<Information> {
  const text = await connection.ask('GET', await connection.url(bucket), { query: { metadata: '' } })
  return JSON.parse(text) as Information
}

/** Of a server that is not ours, what S3 tells of it. */
async function locationOf(connection: Connection, bucket: string): Promise<Information> {
  try {
    const told = await informationOf(connection, bucket)
    if (typeof told.object_regions === 'string') return told
  } catch {
    // A server that knows no such question answers in any way: what S3 asks is asked, and says what is wrong.
  }
  const { LocationConstraint } = await connection.client.send(new GetBucketLocationCommand({ Bucket: bucket }))
  return { object_regions: LocationConstraint ?? 'us-east-1' }
}

const rowOf = (name: string, { object_regions: regions, durability_regions: durability, ...rest }: Information) => ({
  name,
  location: everywhere(regions),
  durability: durability ?? 'default',
  change: changeOf(rest.location_change),
})

function changeOf(change: Information['location_change']): string {
  if (change === undefined) return ''
  const regions = change.regions.map(({ region, done, records_copied: records }) => {
    const copied = records === undefined ? '' : ` (${records} records)`
    return `${region} ${done ? 'done' : `under way${copied}`}`
  })
  return `to ${everywhere(change.to)}: ${change.step}${regions.length > 0 ? `; ${regions.join(', ')}` : ''}`
}

export const locationCommand = defineCommand({
  meta: { name: 'location', description: 'Tell where a bucket is, and how far a change of that has come' },
  args: { name: bucketArgument, ...connectionFlags },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const name = bucketOf(args.name)
      report([rowOf(name, await locationOf(connection, name))], args.json)
    }),
})

export const placeCommand = defineCommand({
  meta: { name: 'place', description: 'Change where a bucket is, and in how many regions its writes have to be' },
  args: {
    name: bucketArgument,
    regions: {
      type: 'string',
      description: 'regions by their codes, with commas between, or a geography; `global`: all',
      valueHint: 'codes',
    },
    durability: {
      type: 'string',
      description: 'in how many of them a write is before it is acknowledged',
      valueHint: 'number',
    },
    watch: { type: 'boolean', description: 'wait until the change is done' },
    ...connectionFlags,
  },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const { regions, durability } = args
      if (regions === undefined && durability === undefined) {
        throw new CannotDo('say what is to change: --regions fra,iad, --durability 2, or both')
      }
      if (durability !== undefined && !/^[1-9]\d?$/.test(durability)) {
        throw new CannotDo('--durability is a number of regions, such as 2')
      }
      const name = bucketOf(args.name)
      const body = JSON.stringify({
        ...(regions !== undefined && { object_regions: regions }),
        ...(durability !== undefined && { durability_regions: Number(durability) }),
      })
      await connection.ask('PATCH', await connection.url(name), { body })
      const now = args.watch === true ? await untilDone(connection, name) : await informationOf(connection, name)
      report([rowOf(name, now)], args.json)
    }),
})

/** While a region that it concerns cannot be reached, it goes on being tried: whoever waits sees that, and may leave. */
async function untilDone(connection: Connection, name: string): Promise<Information> {
  let shown = ''
  for (;;) {
    const now = await informationOf(connection, name)
    if (now.location_change === undefined) return now
    const text = changeOf(now.location_change)
    if (process.stderr.isTTY && text !== shown) process.stderr.write(`${text}\n`)
    shown = text
    await wait(lookMilliseconds)
  }
}
