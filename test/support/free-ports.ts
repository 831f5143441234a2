import { createServer } from 'node:net'

/** So many ports in a row that nobody has now: whoever is told the first takes those that follow. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    // Below those that the system gives to connections.
    const first = 11_000 + Math.floor(Math.random() * 20_000)
    const isFree = await Promise.all(Array.from({ length: count }, (_, at) => isFreePort(first + at)))
    if (isFree.every(Boolean)) return first
  }
  throw new Error('there are no free ports')
}

const isFreePort = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
