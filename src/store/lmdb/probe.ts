import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { StoreError } from '#src/store/store.ts'
import { Environment } from './environment.ts'

const dataFile = 'data.mdb'

/**
 * Opens the environment in another process first: a page that lies beyond the end of a cut file kills whoever touches it
 * (SIGBUS), and no exception tells of it. Rejects with StoreError `corrupt` if that process did not survive.
 */
export async function probe(path: string): Promise<void> {
  if (statSync(join(path, dataFile), { throwIfNoEntry: false }) === undefined) return
  try {
    await promisify(execFile)(process.execPath, [import.meta.filename, path], { env: {} })
  } catch (error) {
    throw new StoreError('corrupt', `the data file in ${path} cannot be opened: restore it, or remove it`, {
      cause: error,
    })
  }
}

if (import.meta.main) {
  const path = process.argv[2] ?? ''
  const environment = new Environment({ path })
  // A sound file may lack its last pages, if they were given back before they were ever written; then all of it is read.
  if (statSync(join(path, dataFile)).size < environment.size()) environment.readAll()
  await environment.close()
}
