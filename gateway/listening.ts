import type { Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/** Rejects where it cannot listen, such as on a port that is taken. */
export async function listen(server: Server | TlsServer, host: string, port: number): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a server has no address')
  return address
}

/** Stops accepting, answers what is under way, and cuts off what is not done in so many milliseconds; without them, all at once. */
export async function close(server: Server | TlsServer, patience = 0): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  if (patience === 0) server.closeAllConnections()
  const timer = setTimeout(() => server.closeAllConnections(), patience)
  // A connection whose last answer was under way is idle only after it.
  const sweep = setInterval(() => server.closeIdleConnections(), 100)
  await closed
  clearTimeout(timer)
  clearInterval(sweep)
}
