/** What a look at one thing found, and what is to be done about it. */
export interface Finding {
  readonly about: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly says: string
  /** Absent: nothing. */
  readonly todo?: string
}

export const ok = (about: string, says: string): Finding => ({ about, state: 'ok', says })
export const warn = (about: string, says: string, todo: string): Finding => ({ about, state: 'warn', says, todo })
export const fail = (about: string, says: string, todo: string): Finding => ({ about, state: 'fail', says, todo })

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${(bytes / 2 ** (10 * step)).toFixed(step === 0 ? 0 : 1)} ${units[step]}`
}

/** The middle one of a few. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
