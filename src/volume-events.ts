import type { VolumeEvent } from '#src/blobs/volume.ts'
import type { Log } from '#src/telemetry/log.ts'

/** What an operator is told of a volume, and how urgently: a disk that is full does what it should. */
export function logVolumeEvent(log: Log, { kind, ...fields }: VolumeEvent): void {
  switch (kind) {
    case 'full':
      log.warn('a volume is full: it takes no more bodies', fields)
      break
    case 'roomy':
      log.info('a volume has room again', fields)
      break
    case 'restored':
      log.warn('a volume was checked, and takes writes again', fields)
      break
    case 'retired':
      log.error('a volume failed, and takes no writes until it is checked', fields)
      break
    case 'unreadable':
      log.error('a volume could not give bytes as they were written', fields)
      break
  }
}
