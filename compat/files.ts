import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Real files to work with, and the only judge of a transfer that counts: the same names and the same bytes. */

const largestTaken = 4 * 1024 * 1024

export interface Tree {
  readonly directory: string
  readonly files: readonly string[]
  readonly bytes: number
}

/** Names that clients escape, each in its own way, plus an empty file. */
const awkwardNames = [
  'empty',
  'with space.txt',
  'plus+and%percent.txt',
  'percent%2Fencoded.txt',
  'ampersand&equals=.txt',
  "quote'and(parentheses).txt",
  'ünïcödé-ß-日本語.txt',
  'dots..and...more.txt',
  'tilde~at@hash#semi;comma,.txt',
  'a/b/c/d/e/f/g/h/deep.txt',
]

const longAgo = new Date('2020-02-02T02:02:02Z')

/** Copies up to `count` real files from `source` into `directory`, and adds the awkward names. */
export async function makeTree(source: string, directory: string, count: number): Promise<Tree> {
  const taken: string[] = []
  for (const name of await namesBelow(source)) {
    if (taken.length >= count - awkwardNames.length) break
    const { size, mtime } = await stat(join(source, name))
    if (size > largestTaken) continue
    const target = join(directory, name)
    await mkdir(dirname(target), { recursive: true })
    await copyFile(join(source, name), target)
    await utimes(target, mtime, mtime)
    taken.push(name)
  }
  for (const name of awkwardNames) {
    const target = join(directory, 'awkward', name)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, name === 'empty' ? '' : `what ${name} holds\n`)
    await utimes(target, longAgo, longAgo)
  }
  return measureTree(directory)
}

export async function measureTree(directory: string): Promise<Tree> {
  const files = await namesBelow(directory)
  let bytes = 0
  for (const name of files) bytes += (await stat(join(directory, name))).size
  return { directory, files, bytes }
}

/** Every regular file below a directory, by its relative name, in one order everywhere. Links are not followed. */
async function namesBelow(directory: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(directory, below), { withFileTypes: true })
  entries.sort((one, other) => (one.name < other.name ? -1 : 1))
  const names: string[] = []
  for (const entry of entries) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) names.push(...(await namesBelow(directory, name)))
    else if (entry.isFile()) names.push(name)
  }
  return names
}

/** Throws unless both directories hold the same names with the same bytes. */
export async function compareTrees(expected: string, actual: string): Promise<string> {
  const ours = await namesBelow(expected)
  const theirs = await namesBelow(actual)
  const missing = [...new Set(ours).difference(new Set(theirs))]
  const extra = [...new Set(theirs).difference(new Set(ours))]
  if (missing.length + extra.length > 0) {
    const some = (names: string[]) => names.slice(0, 5).map((name) => JSON.stringify(name))
    throw new Error(`${missing.length} files are missing: ${some(missing)}; ${extra.length} are extra: ${some(extra)}`)
  }
  let bytes = 0
  for (const name of ours) {
    const [one, other] = await Promise.all([readFile(join(expected, name)), readFile(join(actual, name))])
    if (!one.equals(other)) throw new Error(`${name} came back with other bytes`)
    bytes += one.length
  }
  return `${ours.length} files, ${size(bytes)}, all bytes equal`
}

/** Changes some files and takes some away, as a day's work does; gives what was done. */
export async function editTree(tree: Tree): Promise<{ readonly changed: string[]; readonly removed: string[] }> {
  const pick = (each: number) => tree.files.filter((_, index) => index % 400 === each)
  const changed = pick(7)
  const removed = pick(11)
  for (const name of changed) await writeFile(join(tree.directory, name), `edited: ${name}\n`, { flag: 'a' })
  for (const name of removed) await rm(join(tree.directory, name))
  return { changed, removed }
}

const block = 8 * 1024 * 1024

/** A file of any size whose every 64-byte line differs, so that a part that was lost, doubled or moved shows. */
export async function makeBigFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w')
  let line = 0
  for (let written = 0; written < bytes; written += block) {
    const length = Math.min(block, bytes - written)
    const chunk = Buffer.alloc(block, '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+\n')
    for (let at = 0; at < length; at += 64) {
      chunk.writeDoubleBE(line, at)
      line += 1
    }
    await file.write(chunk, 0, length)
  }
  await file.close()
}

/** The bytes that a big file holds from one place on. */
export async function readPiece(path: string, from: number, length: number): Promise<Buffer> {
  const file = await open(path, 'r')
  const piece = Buffer.alloc(length)
  const { bytesRead } = await file.read(piece, 0, length, from)
  await file.close()
  return piece.subarray(0, bytesRead)
}

export async function compareFiles(expected: string, actual: string): Promise<string> {
  const [one, other] = await Promise.all([stat(expected), stat(actual)])
  if (one.size !== other.size) throw new Error(`${actual} has ${other.size} bytes, not ${one.size}`)
  const options = { highWaterMark: block }
  const theirs = createReadStream(actual, options)[Symbol.asyncIterator]()
  let at = 0
  for await (const chunk of createReadStream(expected, options)) {
    const next = await theirs.next()
    if (next.done || !chunk.equals(next.value)) throw new Error(`${actual} differs after byte ${at}`)
    at += chunk.length
  }
  return `${size(at)}, all bytes equal`
}

export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** Reads `3GiB`, `512MiB` or a plain number of bytes. */
export function parseSize(text: string): number {
  const [, number, unit] = /^(\d+)\s*(KiB|MiB|GiB|B)?$/i.exec(text) ?? []
  if (number === undefined) throw new Error(`${text} is not a size such as 3GiB`)
  const power = ['b', 'kib', 'mib', 'gib'].indexOf((unit ?? 'B').toLowerCase())
  return Number(number) * 1024 ** power
}
