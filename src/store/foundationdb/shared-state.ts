import type { Entry } from '#src/store/store.ts'
import { StoreError } from '#src/store/store.ts'
import type { Moment, World } from '#src/world.ts'
import type { Client } from './client.ts'
import { Reads } from './reads.ts'

/** Milliseconds for which a state may stand for a moment: a version lives for five seconds, and an old one meets more conflicts. */
const freshFor = 500
/** Bytes of rows that one state keeps, for whoever reads them next. */
const keptBytesMost = 1 << 20

/**
 * One state of the cluster that everybody reads who began in the same turn of this process: one read version, and each row once, however
 * many ask for it. Whoever began earlier, and reads on, goes on with it for a while.
 *
 * X4  a state's version is asked for after all that it is read for has begun: it is no older than any of it, so that what was acknowledged to
 *     anybody before counts (C24).
 */
export class SharedState {
  readonly #world: World
  readonly #client: Client
  readonly #native
  readonly #reads: Reads
  readonly #rows = new Map<string, Promise<Uint8Array | undefined>>()
  readonly #departure: Promise<void>
  #keptBytes = 0
  #departed: number | undefined
  #version: Promise<Buffer> | undefined

  /** `departed`: called when nobody may join any more. */
  constructor(world: World, client: Client, departed: () => void) {
    this.#world = world
    this.#client = client
    this.#native = client.transaction()
    this.#reads = new Reads(world, client, this.#native)
    this.#departure = new Promise((resolve) => {
      // The end of this turn: all requests that came with it are there by then.
      setImmediate(() => {
        departed()
        this.#departed = world.monotonic()
        resolve()
      })
    })
  }

  /** When its version was asked for, at the earliest; undefined: it will be. */
  get departed(): number | undefined {
    return this.#departed
  }

  get isFresh(): boolean {
    return this.#departed === undefined || this.#world.monotonic() - this.#departed < freshFor
  }

  /** Read from the cluster once; what is asked for again comes of the same reading. */
  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const name = nameOf(key)
    const known = this.#rows.get(name)
    if (known !== undefined) return known
    const row = this.#read(key, name)
    this.#rows.set(name, row)
    return row
  }

  /** What was read, or is being read. */
  known(key: Uint8Array): Promise<Uint8Array | undefined> | undefined {
    return this.#rows.get(nameOf(key))
  }

  async range(from: Uint8Array, to: Uint8Array, limit: number, isReverse: boolean): Promise<Entry[]> {
    if (this.#departed === undefined) await this.#departure
    return await this.#reads.range(from, to, limit, isReverse, true)
  }

  async version(): Promise<Buffer> {
    if (this.#departed === undefined) await this.#departure
    this.#version ??= this.#native.getReadVersion()
    return await this.#version
  }

  async #read(key: Uint8Array, name: string): Promise<Uint8Array | undefined> {
    try {
      if (this.#departed === undefined) await this.#departure
      const value = await this.#reads.get(key, true)
      this.#keptBytes += name.length + (value?.length ?? 0)
      if (this.#keptBytes > keptBytesMost) this.#forget(name, value)
      return value
    } catch (error) {
      // Whoever asks next may have more luck.
      this.#rows.delete(name)
      throw error
    }
  }

  #forget(name: string, value: Uint8Array | undefined): void {
    this.#keptBytes -= name.length + (value?.length ?? 0)
    this.#rows.delete(name)
  }

  /** The reads of one of those who share it, until that ends. */
  visit(): StateReads {
    return new StateReads(this, this.#client)
  }
}

/** Keys are bytes: each as one character. */
const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')

/** What one snapshot reads of a state that it shares. */
export class StateReads {
  readonly #state: SharedState
  readonly #client: Client
  #hasEnded = false

  constructor(state: SharedState, client: Client) {
    this.#state = state
    this.#client = client
  }

  /** Reads that come later are refused. */
  end(): void {
    this.#hasEnded = true
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#check()
    const value = await this.#state.get(key)
    this.#check()
    return value
  }

  async range(from: Uint8Array, to: Uint8Array, limit: number, isReverse: boolean): Promise<Entry[]> {
    this.#check()
    const entries = await this.#state.range(from, to, limit, isReverse)
    this.#check()
    return entries
  }

  #check(): void {
    this.#client.check()
    if (this.#hasEnded) throw new StoreError('closed', 'the transaction has ended')
  }
}

/** Which state is read for whom. */
export class SharedStates {
  readonly #world: World
  readonly #client: Client
  readonly #ofMoments = new WeakMap<Moment, SharedState>()
  #open: SharedState | undefined

  constructor(world: World, client: Client) {
    this.#world = world
    this.#client = client
  }

  /** A state that is no older than this call, or than `since`, where that is given. */
  of(since: Moment | undefined): SharedState {
    const known = since === undefined ? undefined : this.known(since)
    if (known !== undefined) return known
    const state = this.#open ?? this.#begin()
    if (since !== undefined) this.#ofMoments.set(since, state)
    return state
  }

  /** The state that was read for a moment, unless that is too long ago. */
  known(since: Moment): SharedState | undefined {
    const state = this.#ofMoments.get(since)
    return state?.isFresh === true ? state : undefined
  }

  #begin(): SharedState {
    const state = new SharedState(this.#world, this.#client, () => {
      this.#open = undefined
    })
    this.#open = state
    return state
  }
}
