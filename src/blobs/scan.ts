import type { BlobId } from '#src/model/blob.ts'
import { alignment, frameBytes, headerBytes, isIntact, parseHeader } from './frame.ts'
import { segmentDataStart } from './segment-header.ts'
import type { VolumeDirectory } from './volume-directory.ts'

/** Read in one go while scanning. A frame always fits. */
const windowBytes = 1024 * 1024

export interface ScannedFrame {
  readonly kind: 'frame'
  readonly id: BlobId
  readonly chunk: number
  readonly offset: number
  /** Of the bytes that it carries. */
  readonly size: number
  /** Whether the bytes match their checksum. */
  readonly isIntact: boolean
}

/** Bytes that are no frame: torn by a crash, damaged, or never written. More frames may follow (C1). */
export interface ScannedHole {
  readonly kind: 'hole'
  readonly offset: number
  readonly size: number
}

/** All that lies in a segment, in order: frames, and the holes between them. Rejects with ENOENT where it is gone. */
export async function* scanSegment(
  directory: VolumeDirectory,
  number: number,
): AsyncGenerator<ScannedFrame | ScannedHole> {
  const file = await directory.files.open(directory.segmentPath(number), 'read')
  try {
    const { size } = await directory.files.state(file)
    const window = Buffer.allocUnsafeSlow(windowBytes)
    let windowAt = 0
    let windowEnd = 0
    const bytesAt = async (offset: number, length: number): Promise<Buffer> => {
      if (offset < windowAt || offset + length > windowEnd) {
        windowAt = offset
        windowEnd = offset + (await directory.files.read(file, window, offset))
      }
      return window.subarray(offset - windowAt, Math.min(offset + length, windowEnd) - windowAt)
    }

    const place = directory.place(number)
    let holeAt: number | undefined
    let offset = segmentDataStart
    while (offset < size) {
      const frame = parseHeader(await bytesAt(offset, headerBytes), place, offset)
      if (frame === undefined) {
        holeAt ??= offset
        offset += alignment
        continue
      }
      if (holeAt !== undefined) yield { kind: 'hole', offset: holeAt, size: offset - holeAt }
      holeAt = undefined
      const whole = await bytesAt(offset, headerBytes + frame.length)
      const intact = isIntact(whole.subarray(0, headerBytes), frame, whole.subarray(headerBytes))
      yield { kind: 'frame', id: frame.id, chunk: frame.chunk, offset, size: frame.length, isIntact: intact }
      // Also behind damaged bytes: the header is valid, so nothing else was ever written up to there.
      offset += frameBytes(frame.length)
    }
    if (holeAt !== undefined) yield { kind: 'hole', offset: holeAt, size: size - holeAt }
  } finally {
    await directory.files.close(file)
  }
}
