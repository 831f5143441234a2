import type { VolumeDirectory } from './volume-directory.ts'

/** Segments held open for reading, a volume. Enough for what is hot; far below any limit on descriptors. */
const limit = 256

interface Handle {
  readonly file: Promise<number>
  users: number
  isDropped: boolean
}

/** Open files of segments, the least recently used closed first, and none while someone reads it. */
export class HandleCache {
  readonly #directory: VolumeDirectory
  readonly #handles = new Map<number, Handle>()

  constructor(directory: VolumeDirectory) {
    this.#directory = directory
  }

  /** Runs body with the segment's descriptor. Rejects with ENOENT where the segment is gone. */
  async use<T>(segment: number, body: (file: number) => Promise<T>): Promise<T> {
    const handle = this.#handles.get(segment) ?? this.#openHandle(segment)
    handle.users += 1
    // Moves it to the end: a Map lists what was set last, last.
    this.#handles.delete(segment)
    if (!handle.isDropped) this.#handles.set(segment, handle)
    try {
      return await body(await handle.file)
    } catch (error) {
      // Whatever it was, the next reader begins with a fresh look at the name.
      this.#drop(segment, handle)
      throw error
    } finally {
      handle.users -= 1
      this.#closeIfUnused(handle)
      this.#trim()
    }
  }

  /** Lets go of segments that were removed, by whichever process: their space comes free once nobody holds them. */
  async dropRemoved(): Promise<void> {
    for (const [segment, handle] of [...this.#handles]) {
      if (handle.users > 0) continue
      handle.users += 1
      try {
        const { names } = await this.#directory.files.state(await handle.file)
        if (names === 0) this.#drop(segment, handle)
      } catch {
        this.#drop(segment, handle)
      } finally {
        handle.users -= 1
        this.#closeIfUnused(handle)
      }
    }
  }

  forget(segment: number): void {
    const handle = this.#handles.get(segment)
    if (handle !== undefined) this.#drop(segment, handle)
  }

  async close(): Promise<void> {
    const files = [...this.#handles.values()].map((each) => each.file)
    for (const [segment, handle] of [...this.#handles]) this.#drop(segment, handle)
    await Promise.allSettled(files)
  }

  #openHandle(segment: number): Handle {
    const file = this.#directory.files.open(this.#directory.segmentPath(segment), 'read')
    file.catch(() => {})
    return { file, users: 0, isDropped: false }
  }

  #drop(segment: number, handle: Handle): void {
    if (handle.isDropped) return
    handle.isDropped = true
    if (this.#handles.get(segment) === handle) this.#handles.delete(segment)
    if (handle.users === 0) this.#closeIfUnused(handle)
  }

  #closeIfUnused(handle: Handle): void {
    if (!handle.isDropped || handle.users > 0) return
    handle.file.then((file) => this.#directory.files.close(file)).catch(() => {})
  }

  #trim(): void {
    for (const [segment, handle] of this.#handles) {
      if (this.#handles.size <= limit) return
      if (handle.users === 0) this.#drop(segment, handle)
    }
  }
}
