import type { Transaction } from '#src/store/store.ts'

const appended = new WeakMap<Transaction, number>()

/** Tells apart what one transaction appends under one versionstamp; at most 65,536 entries fit. */
export function nextOrder(of: Transaction): number {
  const order = appended.get(of) ?? 0
  appended.set(of, order + 1)
  return order
}
