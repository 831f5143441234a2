import { setTimeout as wait } from 'node:timers/promises'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  ListBucketsCommand,
} from '@aws-sdk/client-s3'
import { defineCommand } from 'citty'
import { locationCommand, placeCommand } from './bucket-places.ts'
import { bucketArgument, bucketOf } from './client/bucket-names.ts'
import { CannotDo, type Connection, connected, connectionFlags } from './client/connection.ts'
import { listObjects, removeAll } from './client/listing.ts'
import { print, report, sizeOf, table } from './client/printing.ts'

const name = bucketArgument

const list = defineCommand({
  meta: { name: 'list', description: 'List the buckets of the account' },
  args: connectionFlags,
  run: ({ args }) =>
    connected(args, async ({ client }) => {
      const rows: { name: string; created: string }[] = []
      let ContinuationToken: string | undefined
      do {
        const answer = await client.send(new ListBucketsCommand({ ContinuationToken }))
        for (const { Name = '', CreationDate } of answer.Buckets ?? []) {
          rows.push({ name: Name, created: CreationDate?.toISOString() ?? '' })
        }
        ContinuationToken = answer.ContinuationToken
      } while (ContinuationToken !== undefined)
      report(rows, args.json)
    }),
})

const create = defineCommand({
  meta: { name: 'create', description: 'Create a bucket' },
  args: {
    name,
    regions: {
      type: 'string',
      description: 'where it is to be: regions by their codes, with commas between, or a geography',
      valueHint: 'codes',
    },
    ...connectionFlags,
  },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const Bucket = bucketOf(args.name)
      if (args.regions !== undefined) connection.placeIn(args.regions)
      await connection.client.send(new CreateBucketCommand({ Bucket }))
      report([{ name: Bucket, created: true }], args.json)
    }),
})

const remove = defineCommand({
  meta: { name: 'delete', description: 'Delete a bucket that is empty' },
  args: { name, force: { type: 'boolean', description: 'delete all objects in it first' }, ...connectionFlags },
  run: ({ args }) =>
    connected(args, async ({ client }) => {
      const Bucket = bucketOf(args.name)
      const objects = args.force === true ? await removeAll(client, { bucket: Bucket, key: '' }, () => {}) : 0
      await client.send(new DeleteBucketCommand({ Bucket }))
      report([{ name: Bucket, deleted: true, objects }], args.json)
    }),
})

interface Information {
  readonly tier_sizes?: Readonly<Record<string, number>>
  readonly estimated_size?: number
  readonly estimated_rows?: number
  readonly shadow_bucket?: { readonly endpoint: string; readonly name: string }
}

/** Of a server that has no such question everything is listed. */
async function sizes({ client, ...connection }: Pick<Connection, 'client'> & Asking, bucket: string) {
  const told = await connection.information(bucket).catch(() => undefined)
  if (told?.estimated_size !== undefined) {
    return { objects: told.estimated_rows ?? 0, bytes: told.estimated_size, shadow: told.shadow_bucket }
  }
  let objects = 0
  let bytes = 0
  for await (const each of listObjects(client, { bucket, key: '' })) {
    if ('key' in each) {
      objects++
      bytes += each.size
    }
  }
  return { objects, bytes, shadow: undefined }
}

interface Asking {
  information(bucket: string): Promise<Information>
}

const stat = defineCommand({
  meta: { name: 'stat', description: 'Tell what a bucket is, and how much lies in it' },
  args: { name, ...connectionFlags },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const { client } = connection
      const Bucket = bucketOf(args.name)
      const head = await client.send(new HeadBucketCommand({ Bucket }))
      const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket }))
      const information = async (bucket: string): Promise<Information> => {
        const query = { metadata: '', 'with-size': 'true' }
        return JSON.parse(await connection.ask('GET', await connection.url(bucket), { query })) as Information
      }
      const { objects, bytes, shadow } = await sizes({ client, information }, Bucket)
      const row = {
        name: Bucket,
        region: head.BucketRegion ?? '',
        versioning: Status ?? 'Off',
        objects,
        bytes,
        shadow: shadow === undefined ? '' : `${shadow.endpoint}/${shadow.name}`,
      }
      if (args.json === true) print(JSON.stringify(row, undefined, 2))
      else print(table([{ ...row, bytes: sizeOf(bytes) }]))
    }),
})

const shadow = defineCommand({
  meta: { name: 'shadow', description: 'Give a bucket a bucket of another S3 for a shadow, or take it away' },
  args: {
    name,
    url: { type: 'string', description: 'endpoint of the other S3', valueHint: 'url' },
    bucket: { type: 'string', description: 'the bucket there', valueHint: 'name' },
    'shadow-region': { type: 'string', description: 'its region', default: 'auto', valueHint: 'code' },
    'write-through': { type: 'boolean', description: 'write and delete there too' },
    clear: { type: 'boolean', description: 'have no shadow any more' },
    ...connectionFlags,
  },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const { SHADOW_ACCESS_KEY_ID: access, SHADOW_SECRET_ACCESS_KEY: secret } = process.env
      if (args.clear !== true && (args.url === undefined || args.bucket === undefined)) {
        throw new CannotDo('say where the shadow is: --url and --bucket; or --clear')
      }
      if (args.clear !== true && (access === undefined || secret === undefined)) {
        throw new CannotDo('set SHADOW_ACCESS_KEY_ID and SHADOW_SECRET_ACCESS_KEY to the keys of the other S3')
      }
      const options = {
        access_key: access,
        secret_key: secret,
        region: args['shadow-region'],
        name: args.bucket,
        endpoint: args.url,
        write_through: args['write-through'] === true,
      }
      const body = JSON.stringify({ shadow_bucket: args.clear === true ? {} : options })
      await connection.ask('PATCH', await connection.url(bucketOf(args.name)), { body })
    }),
})

interface Migrating {
  readonly state: string
  readonly listed?: number
  readonly failed?: number
  readonly imported_objects: number
  readonly imported_bytes: number
}

const migrate = defineCommand({
  meta: { name: 'migrate', description: 'Copy everything that the shadow of a bucket has, on the server' },
  args: {
    name,
    status: { type: 'boolean', description: 'only tell how far it is' },
    watch: { type: 'boolean', description: 'wait until it is done' },
    cancel: { type: 'boolean', description: 'end it; what was copied stays' },
    ...connectionFlags,
  },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const ask = async (method: string): Promise<Migrating> => {
        const url = await connection.url(bucketOf(args.name))
        return JSON.parse(await connection.ask(method, url, { query: { migration: '' } })) as Migrating
      }
      let now = await ask(args.cancel === true ? 'DELETE' : args.status === true ? 'GET' : 'POST')
      while (args.watch === true && now.state === 'running') {
        if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${told(now)}`)
        await wait(1_000)
        now = await ask('GET')
      }
      if (args.watch === true && process.stderr.isTTY) process.stderr.write('\r\x1b[K')
      print(args.json === true ? JSON.stringify(now, undefined, 2) : told(now))
      if (now.state === 'done' && (now.failed ?? 0) > 0) {
        throw new CannotDo(
          `${now.failed} objects could not be copied: --status --json tells the first of them, and why`,
        )
      }
    }),
})

const told = ({ state, listed = 0, failed = 0, imported_objects: objects, imported_bytes: bytes }: Migrating): string =>
  `${state}: ${listed} listed, ${objects} copied (${sizeOf(bytes)}), ${failed} failed`

export const bucketsCommand = defineCommand({
  meta: { name: 'buckets', description: 'List, create, delete, place and look at buckets, of any S3 server' },
  subCommands: {
    list,
    create,
    delete: remove,
    location: locationCommand,
    place: placeCommand,
    stat,
    shadow,
    migrate,
  },
})
