import { mkdir, open } from 'node:fs/promises'
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
  /** Told once, when a commit failed: from then on this process cannot use the store, and has to start again. */
  readonly broken?: (error: unknown) => void
}

export async function openLmdbStore({
  path,
  world,
  probed = true,
  broken = () => {},
}: LmdbOptions): Promise<LmdbStore> {
  await mkdir(path, { recursive: true })
  if (probed) await probe(path)
  const environment = new Environment({ path })
  // LMDB makes its file, but not the file's name, durable.
  const directory = await open(path, 'r')
  await directory.sync()
  await directory.close()
  return new LmdbStore(world, environment, broken)
}
