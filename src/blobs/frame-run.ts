import assert from 'node:assert/strict'
import { chunkBytes, describeChunk, frameBytes, headerBytes, laidOutBytes, type Place, placeHeader } from './frame.ts'

/** A run holds at most so many bytes of a body: one write of a large body, and the whole of a small one. */
export const runBytes = 8 * chunkBytes

/** Sizes that a run's memory comes in, so that it can be used again: for 16 KiB, 64 KiB, one chunk, four, a full run. */
const capacities = [16 * 1024, 64 * 1024, chunkBytes, 4 * chunkBytes, runBytes].map(laidOutBytes)

/**
 * Memory for runs, kept for the next one: fresh memory of this size costs a page fault per 4 KiB, which is as much as
 * checksumming it. What is idle is bounded; what is in use is bounded by the requests (two full runs each at most).
 */
export class RunMemory {
  readonly #idle = new Map<number, Buffer[]>(capacities.map((capacity) => [capacity, []]))
  readonly #limit: number
  #idleBytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  take(atLeast: number): Buffer {
    const capacity = capacities.find((each) => each >= atLeast)
    assert.ok(capacity !== undefined, 'a run is never larger than its largest capacity')
    const buffer = this.#idle.get(capacity)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(capacity)
    this.#idleBytes -= capacity
    return buffer
  }

  give(buffer: Buffer): void {
    if (this.#idleBytes + buffer.length > this.#limit) return
    this.#idleBytes += buffer.length
    this.#idle.get(buffer.length)?.push(buffer)
  }
}

/**
 * Some consecutive chunks of one blob as frames, ready to be written in one go. The body's bytes are copied once, here:
 * holding the body's own slices would let a client that sends single bytes hold a socket buffer for each of them.
 */
export class FrameRun {
  readonly checksums: number[] = []
  readonly #memory: RunMemory
  readonly #id: Uint8Array
  readonly #firstChunk: number
  #buffer: Buffer
  /** Where the open frame's header is, and how many bytes follow it so far. */
  #header = 0
  #filled = 0
  #size = 0

  constructor(memory: RunMemory, id: Uint8Array, firstChunk: number, expected: number) {
    this.#memory = memory
    this.#id = id
    this.#firstChunk = firstChunk
    this.#buffer = memory.take(laidOutBytes(Math.min(expected, runBytes)))
  }

  /** Of the body's bytes in it. */
  get size(): number {
    return this.#size
  }

  /** Of the frames, as they lie in a segment. */
  get length(): number {
    return laidOutBytes(this.#size)
  }

  get isFull(): boolean {
    return this.#size === runBytes
  }

  /** Takes the first bytes of a slice; returns how many. */
  add(slice: Uint8Array): number {
    let taken = 0
    while (taken < slice.length && this.#size < runBytes) {
      const start = this.#header + headerBytes + this.#filled
      const count = Math.min(slice.length - taken, chunkBytes - this.#filled)
      this.#reserve(start + count)
      this.#buffer.set(slice.subarray(taken, taken + count), start)
      taken += count
      this.#filled += count
      this.#size += count
      if (this.#filled === chunkBytes) this.#closeFrame()
    }
    return taken
  }

  /** No more bytes come. */
  finish(): void {
    if (this.#filled > 0) this.#closeFrame()
  }

  /** The frames for an offset of a segment. Valid until the run is placed again or released. */
  place(place: Place, offset: number): Buffer {
    let at = 0
    for (let left = this.#size; left > 0; left -= chunkBytes) {
      placeHeader(this.#buffer.subarray(at, at + headerBytes), place, offset + at)
      at += frameBytes(Math.min(left, chunkBytes))
    }
    return this.#buffer.subarray(0, at)
  }

  /** Gives the memory back: nothing may read or write it any more. */
  release(): void {
    this.#memory.give(this.#buffer)
    this.#buffer = Buffer.alloc(0)
  }

  #closeFrame(): void {
    const bytesAt = this.#header + headerBytes
    const bytes = this.#buffer.subarray(bytesAt, bytesAt + this.#filled)
    const end = this.#header + frameBytes(this.#filled)
    this.#reserve(end)
    const chunk = this.#firstChunk + this.checksums.length
    this.checksums.push(describeChunk(this.#buffer.subarray(this.#header, bytesAt), this.#id, chunk, bytes))
    // The memory was used before: another body's bytes must not lie in the padding.
    this.#buffer.fill(0, bytesAt + this.#filled, end)
    this.#header = end
    this.#filled = 0
  }

  #reserve(end: number): void {
    if (end <= this.#buffer.length) return
    const larger = this.#memory.take(end)
    larger.set(this.#buffer)
    this.#memory.give(this.#buffer)
    this.#buffer = larger
  }
}
