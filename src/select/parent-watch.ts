import { workerData } from 'node:worker_threads'

/**
 * A thread beside a query's process (query-process.ts). The process itself learns that its parent is gone from the channel between them, but
 * not while it works without a pause: then this one ends it.
 */
const parent: unknown = workerData

setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
}, 1_000)
