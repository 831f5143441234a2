import { type IncomingHttpHeaders, request } from 'node:http'

export interface Page {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface Visit {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly domain?: string
}

/** As a browser asks that has found the host's address. */
export function visitSite(
  endpoint: string,
  bucket: string,
  path: string,
  { method = 'GET', headers, domain }: Visit = {},
): Promise<Page> {
  const { hostname, port } = new URL(endpoint)
  const host = `${bucket}.${domain ?? 'website.localhost'}:${port}`
  return new Promise((resolve, reject) => {
    const asking = request({ hostname, port, path, method, agent: false, headers: { host, ...headers } }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => {
        text += piece
      })
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
    })
    asking.on('error', reject).end()
  })
}
