import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { administrator, ServerProcess } from '../../test/support/server-process.ts'
import { SignedClient } from '../../test/support/signed-client.ts'
import { type LoadResult, load, type Shot } from '../generator.ts'
import { allProcessors, pinGroup, type Served, serveBaseline } from '../processes.ts'
import { bucket } from '../shots.ts'

export interface Measured {
  readonly server: ServerProcess
  readonly client: SignedClient
  readonly port: number
  readonly data: string
}

/** A Meridian of its own, on an empty directory, with one worker on the first processor; with several workers, on all of them. */
export async function withMeridian<Result>(
  work: (measured: Measured) => Promise<Result>,
  { workers = 1, data, flags = [] }: { workers?: number; data?: string; flags?: readonly string[] } = {},
): Promise<Result> {
  const folder = data ?? (await mkdtemp(join(tmpdir(), 'meridian-bench-')))
  const server = await ServerProcess.start({ data: folder, workers, flags, patience: 120_000 })
  const client = new SignedClient(server.endpoint, administrator)
  try {
    await pinGroup(server.pid, workers === 1 ? '0' : allProcessors)
    await client.send({ method: 'PUT', path: `/${bucket}` })
    return await work({ server, client, port: Number(new URL(server.endpoint).port), data: folder })
  } finally {
    client.close()
    await server.stop()
    if (data === undefined) await rm(folder, { recursive: true })
  }
}

/** A bare server, on the first processor unless told otherwise. */
export async function withBaseline<Result>(
  args: readonly string[],
  work: (served: Served) => Promise<Result>,
  processors = '0',
): Promise<Result> {
  const served = await serveBaseline(args)
  try {
    await pinGroup(served.pid, processors)
    return await work(served)
  } finally {
    await served.stop()
  }
}

/** After a warm-up that does not count; a load in which anything fails measures nothing. */
export async function measure(
  port: number,
  shots: readonly Shot[],
  connections: number,
  seconds: number,
): Promise<LoadResult> {
  await load({ port, shots, connections, seconds: Math.min(2, seconds) })
  return sound(await load({ port, shots, connections, seconds }))
}

export function sound(result: LoadResult): LoadResult {
  if (result.failures > 0 || result.operations < 20) {
    throw new Error(`${result.failures} of ${result.operations} requests failed: nothing was measured`)
  }
  return result
}

/** Sends all calls, some at a time; for filling. */
export async function sendAll<Item>(
  items: readonly Item[],
  at: number,
  send: (item: Item) => Promise<unknown>,
): Promise<void> {
  const waiting = [...items].reverse()
  const sender = async (): Promise<void> => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await send(item)
  }
  await Promise.all(Array.from({ length: at }, sender))
}
