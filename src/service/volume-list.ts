import type { VolumeMaintenance, VolumeState } from '#src/blobs/volume-maintenance.ts'
import { readDead } from '#src/metadata/segment-records.ts'
import type { Foundation } from './foundation.ts'

/** A volume, as an operator looks at it. */
export interface VolumeSummary extends VolumeState {
  readonly segments: number
  /** Of all segments' files. */
  readonly bytes: number
  /** Bytes in them that nothing names any more, as far as was counted. */
  readonly deadBytes: number
  /** Why its segments cannot be listed, if so. */
  readonly problem?: string
}

export async function listVolumes(
  { store }: Foundation,
  maintenance: VolumeMaintenance,
): Promise<readonly VolumeSummary[]> {
  const summaries: VolumeSummary[] = []
  for (const state of await maintenance.volumes()) {
    let problem: string | undefined
    // A disk that fails is what the list is for: the others are shown all the same.
    const segments = await maintenance.segments(state.id).catch((error: unknown) => {
      problem = String(error)
      return []
    })
    let bytes = 0
    let deadBytes = 0
    for (const { number, size } of segments) {
      bytes += size
      deadBytes += await store.snapshot((snapshot) => readDead(snapshot, state.id, number))
    }
    summaries.push({ ...state, segments: segments.length, bytes, deadBytes, ...(problem !== undefined && { problem }) })
  }
  return summaries
}
