import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts in hundredths, whatever its kernel's own clock. */
const ticksPerSecond = 100
/** Of what stands behind the name in /proc/…/stat. */
const field = { group: 2, user: 11, system: 12 } as const

/**
 * Seconds of the processor that the processes of a group have taken since they began, where there is a /proc: what else the machine does
 * meanwhile does not count.
 */
export function processorSeconds(group: number): number | undefined {
  let ticks: number | undefined
  for (const name of namesIn('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = statOf(name)
    if (Number(fields[field.group]) !== group) continue
    ticks = (ticks ?? 0) + Number(fields[field.user]) + Number(fields[field.system])
  }
  return ticks === undefined ? undefined : ticks / ticksPerSecond
}

function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function statOf(name: string): readonly string[] {
  try {
    const text = readFileSync(`/proc/${name}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    // It has ended.
    return []
  }
}
