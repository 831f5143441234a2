import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { storeContract } from './store.contract.ts'

const folder = await mkdtemp(join(tmpdir(), 'meridian-store-'))
let stores = 0
after(() => rm(folder, { recursive: true }))

storeContract('memory', async (world) => new MemoryStore({ world }))
storeContract('lmdb', (world) => openLmdbStore({ path: join(folder, String(stores++)), world }))
