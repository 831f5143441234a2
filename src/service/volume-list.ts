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
}

export async function listVolumes(
  { store }: Foundation,
  maintenance: VolumeMaintenance,
): Promise<readonly VolumeSummary[]> {
  const summaries: VolumeSummary[] = []
  for (const state of await maintenance.volumes()) {
    const segments = await maintenance.segments(state.id)
    let bytes = 0
    let deadBytes = 0
    for (const { number, size } of segments) {
      bytes += size
      deadBytes += await store.snapshot((snapshot) => readDead(snapshot, state.id, number))
    }
    summaries.push({ ...state, segments: segments.length, bytes, deadBytes })
  }
  return summaries
}
