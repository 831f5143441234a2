import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Recorder extends AsyncDisposable {
  readonly origin: string
  /** What was asked, each once: a method and a path, or what GraphQL was asked by name or by its first field. */
  readonly asked: ReadonlySet<string>
  /** Answers 502 instead, to so many requests of that name, after they were carried out. */
  failAfter(name: string, times: number): void
}

/** Names in paths are whose they are. */
const path = (target: string): string =>
  (target.split('?')[0] ?? '')
    .replace(/^(\/v1\/apps\/)[^/]+/, '$1{name}')
    .replace(/^(\/v1\/apps\/\{name\}\/machines\/)[^/]+/, '$1{id}')
    .replace(/^(\/api\/v1\/(?:cli_sessions|releases)\/)[^/]+/, '$1{id}')

function nameOf(method: string, target: string, body: string): string {
  if (path(target) !== '/graphql') return `${method} ${path(target)}`
  const { operationName, query } = JSON.parse(body) as { operationName?: string; query?: string }
  const [, root = ''] = /\{\s*(?:\w+\s*:\s*)?(\w+)/.exec(query ?? '') ?? []
  return operationName === undefined || operationName === '' ? `anonymous ${root}` : operationName
}

/** Stands between flyctl and the server, and writes down what is asked. */
export async function startRecorder(target: string): Promise<Recorder> {
  const asked = new Set<string>()
  const failing = new Map<string, number>()
  const server = createServer((request, response) => {
    const pass = async (): Promise<void> => {
      const { method = 'GET', url = '/' } = request
      const body = await buffer(request)
      const name = nameOf(method, url, body.toString())
      asked.add(name)
      const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers
      const answer = await fetch(`${target}${url}`, {
        method,
        headers: headers as Record<string, string>,
        ...(body.length > 0 && { body }),
        redirect: 'manual',
      })
      const said = Buffer.from(await answer.arrayBuffer())
      const left = failing.get(name) ?? 0
      failing.set(name, left - 1)
      if (left > 0) response.writeHead(502).end('bad gateway')
      else response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(said)
    }
    pass().catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    asked,
    failAfter: (name, times) => failing.set(name, times),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
