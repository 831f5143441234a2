import { randomBytes } from 'node:crypto'
import type { DevCluster } from '../support/dev-cluster.ts'
import type { Call, SignedClient } from '../support/signed-client.ts'

/** Above what travels with records: such objects are fetched when they are read elsewhere. */
const large = randomBytes(300_000)
const small = randomBytes(500)

export interface Traffic {
  /** Requests that were answered, and not 5xx. */
  readonly answered: number
  readonly failures: readonly string[]
}

/** Requests that use all that dashboards look at; for so many milliseconds. */
export async function traffic(cluster: DevCluster, milliseconds: number): Promise<Traffic> {
  const clients = new Map(cluster.codes.map((code) => [code, cluster.client(code, 16)] as const))
  let answered = 0
  const failures: string[] = []
  const send = async (client: SignedClient, call: Call): Promise<void> => {
    const what = `${call.method} ${call.path}`
    try {
      const { status, body } = await client.send(call)
      if (status < 500) answered += 1
      else failures.push(`${what}: ${status} ${body.toString().slice(0, 300)}`)
    } catch (error) {
      failures.push(`${what}: ${String(error)}`)
    }
  }
  const [first = ''] = cluster.codes
  const root = clients.get(first)
  if (root === undefined) throw new Error('a cluster has a region')
  await send(root, { method: 'PUT', path: '/box' })
  // Of one region alone: others pass requests for it on.
  await send(root, {
    method: 'PUT',
    path: '/single',
    body: Buffer.from(
      `<CreateBucketConfiguration><LocationConstraint>${first}</LocationConstraint></CreateBucketConfiguration>`,
    ),
  })
  for (let at = 0; at < 5; at++) await send(root, { method: 'PUT', path: `/box/far-${at}`, body: large })
  const until = performance.now() + milliseconds
  const loop = async (client: SignedClient, code: string): Promise<void> => {
    for (let at = 0; performance.now() < until; at++) {
      await Promise.all([
        send(client, { method: 'PUT', path: `/box/${code}-${at % 50}`, body: small }),
        send(client, { method: 'PUT', path: `/box/${code}-large-${at % 5}`, body: large }),
        send(client, { method: 'GET', path: `/box/${code}-${at % 50}` }),
        send(client, { method: 'GET', path: `/box/far-${at % 5}` }),
        send(client, { method: 'HEAD', path: `/box/far-${at % 5}` }),
        send(client, { method: 'GET', path: `/box/not-there-${at}` }),
        send(client, { method: 'DELETE', path: `/box/${code}-${(at + 25) % 50}` }),
        send(client, { method: 'GET', path: '/box', query: { 'list-type': '2', prefix: code } }),
        // All regions at once, so that some lose.
        send(client, { method: 'PUT', path: '/box/contested', body: Buffer.from(`${code} ${at}`) }),
        send(client, { method: 'PUT', path: '/single/key', body: small }),
      ])
    }
  }
  await Promise.all([...clients].map(([code, client]) => loop(client, code)))
  for (const client of clients.values()) client.close()
  return { answered, failures }
}
