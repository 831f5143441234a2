import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { defineCommand } from 'citty'
import { CannotDo, connected, connectionFlags, nameOf, parseRemote, remoteOf } from './client/connection.ts'
import { type Copied, copyAll } from './client/copying.ts'
import { listObjects, removeAll } from './client/listing.ts'
import { print, sizeOf, table } from './client/printing.ts'
import { Progress } from './client/progress.ts'
import { presigned } from './client/signing.ts'

const uri = { type: 'positional', valueHint: 's3://bucket/key', required: true } as const
const recursive = { type: 'boolean', description: 'all that lies under it' } as const

function wholeNumber(text: string, name: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) throw new CannotDo(`--${name} is a number from ${least} to ${most}`)
  return value
}

const list = defineCommand({
  meta: { name: 'list', description: 'List objects; folders as one, unless --recursive' },
  args: { uri: { ...uri, description: 'bucket, and what keys begin with' }, recursive, ...connectionFlags },
  run: ({ args }) =>
    connected(args, async ({ client }) => {
      const lines: { size: string; modified: string; name: string }[] = []
      const flush = (): void => {
        if (lines.length > 0) print(table(lines.splice(0)))
      }
      for await (const each of listObjects(client, remoteOf(args.uri), args.recursive === true ? '' : '/')) {
        if (args.json === true) print(JSON.stringify(each))
        else if ('prefix' in each) lines.push({ size: '', modified: '', name: each.prefix })
        else lines.push({ size: sizeOf(each.size), modified: each.modified.toISOString(), name: each.key })
        if (lines.length === 1_000) flush()
      }
      flush()
    }),
})

const copy = defineCommand({
  meta: { name: 'copy', description: 'Copy files up, objects down, or objects on the server' },
  args: {
    source: { type: 'positional', description: 'a file, a folder, or s3://bucket/key', required: true },
    target: { type: 'positional', description: 'the same; one of the two is on the server', required: true },
    recursive,
    resume: { type: 'boolean', description: 'go on with uploads that were not finished; downloads always do' },
    parallel: { type: 'string', description: 'parts of an object at once', default: '8', valueHint: 'number' },
    files: { type: 'string', description: 'objects at once', default: '4', valueHint: 'number' },
    'part-mib': {
      type: 'string',
      description: 'size of a part in MiB, at least 5',
      default: '16',
      valueHint: 'number',
    },
    regions: {
      type: 'string',
      description:
        'which are to have the bytes: codes, with commas between, or a geography; default: as the bucket says',
      valueHint: 'codes',
    },
    ...connectionFlags,
  },
  run: ({ args }) =>
    connected(args, async (connection) => {
      if (args.regions !== undefined) {
        if (parseRemote(args.target) === undefined) throw new CannotDo('--regions is for what is copied to a server')
        connection.placeIn(args.regions)
      }
      const progress = new Progress()
      let count = 0
      let bytes = 0
      const copied = (each: Copied): void => {
        count++
        bytes += each.bytes
        if (args.json === true) print(JSON.stringify(each))
      }
      try {
        await copyAll(args.source, args.target, {
          client: connection.client,
          progress,
          copied,
          isRecursive: args.recursive === true,
          resumes: args.resume === true,
          parallel: wholeNumber(args.parallel, 'parallel', 1, 64),
          files: wholeNumber(args.files, 'files', 1, 64),
          partBytes: wholeNumber(args['part-mib'], 'part-mib', 5, 5_000) * 2 ** 20,
        })
      } finally {
        progress.close()
      }
      if (args.json !== true) print(`copied ${count} ${count === 1 ? 'object' : 'objects'}, ${sizeOf(bytes)}`)
    }),
})

const remove = defineCommand({
  meta: { name: 'remove', description: 'Delete an object, or with --recursive all whose keys begin so' },
  args: { uri: { ...uri, description: 'what is to go' }, recursive, ...connectionFlags },
  run: ({ args }) =>
    connected(args, async ({ client }) => {
      const remote = remoteOf(args.uri)
      const gone = (key: string): void => {
        if (args.json === true) print(JSON.stringify({ deleted: nameOf({ bucket: remote.bucket, key }) }))
      }
      if (args.recursive === true) {
        const count = await removeAll(client, remote, gone)
        if (args.json !== true) print(`deleted ${count} ${count === 1 ? 'object' : 'objects'}`)
        return
      }
      if (remote.key === '') throw new CannotDo('that is a bucket: name an object, or use --recursive')
      await client.send(new DeleteObjectCommand({ Bucket: remote.bucket, Key: remote.key }))
      gone(remote.key)
    }),
})

const durations: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

function secondsOf(text: string): number {
  const [, amount = '', unit = 's'] = /^(\d{1,7})([smhd]?)$/.exec(text) ?? []
  const seconds = Number(amount) * (durations[unit === '' ? 's' : unit] ?? 1)
  if (amount === '' || seconds < 1) throw new CannotDo(`${text} is no time: write such as 90s, 15m, 12h, 7d`)
  return seconds
}

const presign = defineCommand({
  meta: {
    name: 'presign',
    description: 'Print a URL with which whoever has it may get, or put, an object for a while',
  },
  args: {
    uri: { ...uri, description: 'the object' },
    expires: { type: 'string', description: 'for how long', default: '1h', valueHint: 'time' },
    method: { type: 'string', description: 'GET, PUT, HEAD or DELETE', default: 'GET', valueHint: 'method' },
    ...connectionFlags,
  },
  run: ({ args }) =>
    connected(args, async (connection) => {
      const { bucket, key } = remoteOf(args.uri)
      if (key === '') throw new CannotDo('that is a bucket: name an object')
      const method = args.method.toUpperCase()
      if (!['GET', 'PUT', 'HEAD', 'DELETE'].includes(method)) throw new CannotDo('--method is GET, PUT, HEAD or DELETE')
      const asked = { method, url: await connection.url(bucket, key), now: new Date() }
      const url = presigned(await connection.signer(), asked, secondsOf(args.expires)).toString()
      print(args.json === true ? JSON.stringify({ url, method, expires: args.expires }) : url)
    }),
})

export const objectsCommand = defineCommand({
  meta: { name: 'objects', description: 'List, copy, delete and share objects, of any S3 server' },
  subCommands: { list, copy, remove, presign },
})
