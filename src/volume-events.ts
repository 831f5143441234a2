import type { VolumeEvent } from '#src/blobs/volume.ts'
import type { Log } from '#src/telemetry/log.ts'

/** How urgent it is, and what is said: a disk that is full does what it should. */
const told: Readonly<Record<VolumeEvent['kind'], readonly [level: 'info' | 'warn' | 'error', message: string]>> = {
  emptying: ['info', 'a volume is being emptied, and takes no writes'],
  full: ['warn', 'a volume is full: it takes no more bodies'],
  roomy: ['info', 'a volume has room again'],
  restored: ['warn', 'a volume was checked, and takes writes again'],
  retired: ['error', 'a volume failed, and takes no writes until it is checked'],
  unreadable: ['error', 'a volume could not give bytes as they were written'],
}

/** What an operator is told of a volume. */
export function logVolumeEvent(log: Log, { kind, ...fields }: VolumeEvent): void {
  const [level, message] = told[kind]
  log[level](message, fields)
}
