import { mkdir } from 'node:fs/promises'
import type { World } from '#src/world.ts'
import { Environment } from './environment.ts'
import { LmdbStore } from './lmdb-store.ts'
import { probe } from './probe.ts'

export interface LmdbOptions {
  /** A directory; made if it is not there. */
  readonly path: string
  readonly world: World
  /** Whether to try the data file in another process first (probe.ts). One process of several on a store is enough. */
  readonly probed?: boolean
}

export async function openLmdbStore({ path, world, probed = true }: LmdbOptions): Promise<LmdbStore> {
  await mkdir(path, { recursive: true })
  if (probed) await probe(path)
  return new LmdbStore(world, new Environment({ path }))
}
