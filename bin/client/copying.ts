import { readdir, stat } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'
import { HeadObjectCommand } from '@aws-sdk/client-s3'
import { CannotDo, nameOf, parseRemote, type Remote } from './connection.ts'
import { listObjects } from './listing.ts'
import { copyThere, download, inParallel, type TransferOptions, upload } from './transfers.ts'

export interface CopyOptions extends TransferOptions {
  readonly isRecursive: boolean
  /** Objects that are copied at once. */
  readonly files: number
  readonly copied: (copy: Copied) => void
}

export interface Copied {
  readonly source: string
  readonly target: string
  readonly bytes: number
}

interface Copy extends Copied {
  run(): Promise<void>
}

/** Copies up, down or between places on a server, as the two names say. */
export async function copyAll(source: string, target: string, options: CopyOptions): Promise<void> {
  const [from, to] = [parseRemote(source), parseRemote(target)]
  if (from === undefined && to === undefined) {
    throw new CannotDo('neither is on a server: write one of them as s3://bucket/key')
  }
  const copies =
    from === undefined
      ? ups(source, to as Remote, options)
      : to === undefined
        ? downs(from, target, options)
        : betweens(from, to, options)
  const { progress, files, copied } = options
  await inParallel(copies, files, async (copy) => {
    progress.begin(copy.source)
    await copy.run()
    progress.finish()
    copied({ source: copy.source, target: copy.target, bytes: copy.bytes })
  })
}

/** A name that ends like a folder gets the source's own behind it. */
const under = (key: string, name: string): string => (key === '' || key.endsWith('/') ? `${key}${name}` : key)
const folder = (key: string): string => (key === '' || key.endsWith('/') ? key : `${key}/`)

async function* ups(source: string, to: Remote, options: CopyOptions): AsyncGenerator<Copy> {
  const found = await stat(source).catch(() => undefined)
  if (found === undefined) throw new CannotDo(`there is no ${source}`)
  const one = (path: string, key: string, bytes: number): Copy => {
    const target = { bucket: to.bucket, key }
    options.progress.expect(bytes)
    return { source: path, target: nameOf(target), bytes, run: () => upload(path, target, options) }
  }
  if (!found.isDirectory()) {
    yield one(source, under(to.key, basename(source)), found.size)
    return
  }
  if (!options.isRecursive) throw new CannotDo(`${source} is a folder: copy what is in it with --recursive`)
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const key = `${folder(to.key)}${relative(source, path).split(sep).join('/')}`
    yield one(path, key, (await stat(path)).size)
  }
}

async function* downs(from: Remote, target: string, options: CopyOptions): AsyncGenerator<Copy> {
  const isFolder = target.endsWith(sep) || (await stat(target).catch(() => undefined))?.isDirectory() === true
  const one = (key: string, path: string, bytes: number): Copy => {
    const source = { bucket: from.bucket, key }
    options.progress.expect(bytes)
    return { source: nameOf(source), target: path, bytes, run: () => download(source, path, options) }
  }
  if (!options.isRecursive) {
    const size = await sizeOf(from, options)
    yield one(from.key, isFolder ? join(target, basename(from.key)) : target, size)
    return
  }
  for await (const each of listObjects(options.client, { bucket: from.bucket, key: prefixOf(from) })) {
    if (!('key' in each) || each.key.endsWith('/')) continue
    yield one(each.key, inside(target, each.key.slice(prefixOf(from).length)), each.size)
  }
}

/** A key says where on the disk it goes, but never out of the folder that was named. */
function inside(target: string, name: string): string {
  const path = resolve(target, name)
  if (!path.startsWith(`${resolve(target)}${sep}`)) {
    throw new CannotDo(`${name} would be written outside of ${target}: copy it by itself, under another name`)
  }
  return path
}

async function* betweens(from: Remote, to: Remote, options: CopyOptions): AsyncGenerator<Copy> {
  const one = (key: string, targetKey: string, bytes: number): Copy => {
    const [source, target] = [
      { bucket: from.bucket, key },
      { bucket: to.bucket, key: targetKey },
    ]
    options.progress.expect(bytes)
    return {
      source: nameOf(source),
      target: nameOf(target),
      bytes,
      run: () => copyThere(source, target, bytes, options),
    }
  }
  if (!options.isRecursive) {
    yield one(from.key, under(to.key, basename(from.key)), await sizeOf(from, options))
    return
  }
  for await (const each of listObjects(options.client, { bucket: from.bucket, key: prefixOf(from) })) {
    if ('key' in each) yield one(each.key, `${folder(to.key)}${each.key.slice(prefixOf(from).length)}`, each.size)
  }
}

const prefixOf = ({ key }: Remote): string => folder(key)

async function sizeOf({ bucket, key }: Remote, { client }: CopyOptions): Promise<number> {
  if (key === '' || key.endsWith('/')) throw new CannotDo(`s3://${bucket}/${key} is many objects: use --recursive`)
  const { ContentLength = 0 } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
  return ContentLength
}
