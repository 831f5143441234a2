/**
 * Milliseconds of the processor that some work takes, the least of `tries`: what other processes do meanwhile does not count, and what the
 * compiler or the collector do now and then hardly does.
 */
export function processorTime(work: () => void, tries = 5): number {
  const times = Array.from({ length: tries }, () => {
    const before = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1_000
  })
  return Math.min(...times)
}
