/** What a key holds: the MD5 of its bytes, or nothing. */
export type State = string | 'absent'

interface Account {
  /** What the last answered write left, or what was read since. */
  stands: State
  /** Writes sent since, whose outcome nobody knows: each may have happened. */
  readonly pending: Set<State>
  isTouched: boolean
}

export interface Finding {
  readonly key: string
  readonly kind: 'lost' | 'wrong'
  readonly detail: string
}

/**
 * What a store has acknowledged, kept outside of it (INV-D). One writer at a time writes a key.
 *
 * L1  an answered write replaces what stood, and all that was pending; an unanswered one may stand or not.
 * L2  what was once read stays: an unknown write does not come and go.
 */
export class Ledger {
  readonly #keys = new Map<string, Account>()
  acknowledged = 0
  unknown = 0

  begin(key: string, state: State): void {
    const account = this.#account(key)
    account.pending.add(state)
    account.isTouched = true
  }

  acknowledge(key: string, state: State): void {
    const account = this.#account(key)
    account.stands = state
    account.pending.clear()
    this.acknowledged += 1
  }

  /** The state stays pending: refused or broken off, it may have been carried out. */
  lose(): void {
    this.unknown += 1
  }

  /** What a key holds, where that is certain. */
  known(key: string): State | undefined {
    const account = this.#keys.get(key)
    return account === undefined || account.pending.size > 0 ? undefined : account.stands
  }

  /** Keys written to since this was last asked. */
  takeTouched(): string[] {
    const touched = [...this.#keys].filter(([, account]) => account.isTouched)
    for (const [, account] of touched) account.isTouched = false
    return touched.map(([key]) => key)
  }

  get keys(): readonly string[] {
    return [...this.#keys.keys()]
  }

  /** Compares what was read with what may be there. */
  check(key: string, read: State): Finding | undefined {
    const account = this.#account(key)
    if (read !== account.stands && !account.pending.has(read)) {
      const kind = read === 'absent' ? 'lost' : 'wrong'
      const pending = account.pending.size === 0 ? '' : ` or one of ${[...account.pending].join(', ')}`
      return { key, kind, detail: `read ${read}, acknowledged was ${account.stands}${pending}` }
    }
    account.stands = read
    account.pending.clear()
    return undefined
  }

  #account(key: string): Account {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const account = { stands: 'absent' as State, pending: new Set<State>(), isTouched: false }
    this.#keys.set(key, account)
    return account
  }
}
