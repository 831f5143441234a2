import fs from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * The few things that volumes ask of a file system: narrow, so that a test can put faults between (ENOSPC, EIO, short
 * writes), and so that it can be seen at one glance which calls durability rests on.
 */
export interface Files {
  /** `create` fails where the name exists; `edit` opens for reading and writing. */
  open(path: string, mode: 'create' | 'edit' | 'read'): Promise<number>
  close(file: number): Promise<void>
  /** Writes at a position as much as the system takes in one call; resolves with how much that was. */
  write(file: number, buffers: readonly Uint8Array[], position: number): Promise<number>
  /** Fills the buffer from a position; resolves with less than its length only at the end of the file. */
  read(file: number, buffer: Uint8Array, position: number): Promise<number>
  /** Puts the file's bytes and length on stable storage (fdatasync). */
  sync(file: number): Promise<void>
  /** Puts a directory's names on stable storage. */
  syncDirectory(path: string): Promise<void>
  makeDirectory(path: string): Promise<void>
  list(path: string): Promise<readonly string[]>
  /** Gives a file a second name; fails where that name exists. */
  link(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  state(file: number): Promise<FileState>
  /** Bytes that this user may still write on the file system, and its size. */
  space(path: string): Promise<Space>
}

export interface FileState {
  readonly size: number
  /** How many names it has: 0 once it was unlinked. */
  readonly names: number
}

export interface Space {
  readonly free: number
  readonly total: number
}

const flags = { create: 'wx+', edit: 'r+', read: 'r' } as const

/** Node's callbacks on plain descriptors: about a third less time per call than FileHandle's methods. */
function settle<T>(start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value) : reject(error)))
  })
}

const done = (start: (callback: (error: Error | null) => void) => void): Promise<void> =>
  settle<void>((callback) => start((error) => callback(error, undefined)))

export const realFiles: Files = {
  open: (path, mode) => settle((callback) => fs.open(path, flags[mode], 0o600, callback)),
  close: (file) => done((callback) => fs.close(file, callback)),
  write: (file, buffers, position) =>
    settle((callback) => {
      const [first] = buffers
      if (first !== undefined && buffers.length === 1) fs.write(file, first, 0, first.length, position, callback)
      else fs.writev(file, buffers, position, callback)
    }),
  async read(file, buffer, position) {
    let filled = 0
    while (filled < buffer.length) {
      const count = await settle<number>((callback) =>
        fs.read(file, buffer, filled, buffer.length - filled, position + filled, callback),
      )
      if (count === 0) break
      filled += count
    }
    return filled
  },
  sync: (file) => done((callback) => fs.fdatasync(file, callback)),
  async syncDirectory(path) {
    const directory = await settle<number>((callback) => fs.open(path, 'r', callback))
    try {
      await done((callback) => fs.fsync(directory, callback))
    } finally {
      await done((callback) => fs.close(directory, callback))
    }
  },
  async makeDirectory(given) {
    const path = resolve(given)
    const first = await fs.promises.mkdir(path, { recursive: true, mode: 0o700 })
    if (first === undefined) return
    // A new name is durable once the directory that holds it is.
    for (let made = path; made.length >= first.length; made = dirname(made)) await this.syncDirectory(dirname(made))
  },
  list: (path) => settle((callback) => fs.readdir(path, callback)),
  link: (from, to) => done((callback) => fs.link(from, to, callback)),
  unlink: (path) => done((callback) => fs.unlink(path, callback)),
  async state(file) {
    const { size, nlink } = await settle<fs.Stats>((callback) => fs.fstat(file, callback))
    return { size, names: nlink }
  },
  async space(path) {
    const { bavail, blocks, bsize } = await settle<fs.StatsFs>((callback) => fs.statfs(path, callback))
    return { free: bavail * bsize, total: blocks * bsize }
  },
}

/** The system's name of an error (`ENOENT` …), if it has one. */
export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Writes all of the buffers at a position, however many calls the system needs for it. */
export async function writeAll(
  files: Files,
  file: number,
  buffers: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = buffers
  let at = position
  for (;;) {
    const wanted = rest.reduce((sum, each) => sum + each.length, 0)
    if (wanted === 0) return
    const written = await files.write(file, rest, at)
    if (written === wanted) return
    if (written === 0) throw new Error('the file system took nothing, and named no error')
    at += written
    rest = withoutFirst(rest, written)
  }
}

function withoutFirst(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skip = count
  return buffers.flatMap((each) => {
    const part = each.subarray(Math.min(skip, each.length))
    skip -= each.length - part.length
    return part.length === 0 ? [] : [part]
  })
}

/** Writes a small file under a name that did not exist, whole and durable or not at all. False where the name exists. */
export async function createWhole(
  files: Files,
  directory: string,
  name: string,
  temporary: string,
  content: Uint8Array,
): Promise<boolean> {
  const path = `${directory}/${temporary}`
  const file = await files.open(path, 'create')
  try {
    await writeAll(files, file, [content], 0)
    await files.sync(file)
    await files.link(path, `${directory}/${name}`)
    await files.syncDirectory(directory)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    await files.close(file)
    await files.unlink(path)
  }
}

/** A small file's content, or undefined where there is none. */
export async function readWhole(files: Files, path: string): Promise<Buffer | undefined> {
  let file: number
  try {
    file = await files.open(path, 'read')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const { size } = await files.state(file)
    const content = Buffer.alloc(size)
    return content.subarray(0, await files.read(file, content, 0))
  } finally {
    await files.close(file)
  }
}
