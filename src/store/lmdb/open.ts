import { mkdir } from 'node:fs/promises'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { Environment } from './environment.ts'
import { LmdbStore } from './lmdb-store.ts'

export interface LmdbOptions {
  /** A directory; made if it is not there. */
  readonly path: string
  readonly world: World
  /** The most the data file may grow to. Only address space until it is used. */
  readonly mapBytesMax?: number
}

/** 1 TiB: of the 128 TiB of a process's address space, more than the metadata of one node's disks. */
const mapBytesDefault = 2 ** 40

export async function openLmdbStore({ path, world, mapBytesMax = mapBytesDefault }: LmdbOptions): Promise<Store> {
  await mkdir(path, { recursive: true })
  return new LmdbStore(world, new Environment({ path, mapBytesMax }))
}
