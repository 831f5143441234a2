import type { Entry, RangeOptions, Snapshot, Store, Transaction } from './store.ts'

/** A transaction that does what another one does: for what has to see some of it pass. */
export class PassingTransaction implements Transaction {
  readonly relaxed: Snapshot
  readonly #inner: Transaction

  constructor(inner: Transaction) {
    this.#inner = inner
    this.relaxed = inner.relaxed
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#inner.get(key)
  }

  range(from: Uint8Array, to: Uint8Array, options: RangeOptions): Promise<readonly Entry[]> {
    return this.#inner.range(from, to, options)
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.#inner.set(key, value)
  }

  clear(key: Uint8Array): void {
    this.#inner.clear(key)
  }

  clearRange(from: Uint8Array, to: Uint8Array): void {
    this.#inner.clearRange(from, to)
  }

  add(key: Uint8Array, delta: bigint): void {
    this.#inner.add(key, delta)
  }

  append(prefix: Uint8Array, value: Uint8Array): number {
    return this.#inner.append(prefix, value)
  }

  setStamped(key: Uint8Array, value: Uint8Array, offset: number): void {
    this.#inner.setStamped(key, value, offset)
  }
}

/** That what is foreseen reaches the store below, where that makes anything of it. */
export const foreseen = (store: Store): Pick<Store, 'foresee'> =>
  store.foresee === undefined ? {} : { foresee: (since, keys) => store.foresee?.(since, keys) }

/** What a store that only changes transactions leaves to the one below it. */
export const passedOn = (store: Store): Omit<Store, 'transact'> => ({
  snapshot: (body, since) => store.snapshot(body, since),
  watch: (key, signal) => store.watch(key, signal),
  close: () => store.close(),
  ...foreseen(store),
})
