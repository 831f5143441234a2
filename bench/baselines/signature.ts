import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** The least that verifies a version 4 signature in a header: what a bare server has to do too, to be compared with. */
export function verifier(accessKey: string, secretKey: string): (request: IncomingMessage) => boolean {
  let scopeKnown = ''
  let key: Buffer = Buffer.alloc(0)
  const signingKey = (scope: string): Buffer => {
    if (scope !== scopeKnown) {
      const steps = scope.split('/')
      key = steps.reduce(
        (last: Buffer, step) => createHmac('sha256', last).update(step).digest(),
        Buffer.from(`AWS4${secretKey}`),
      )
      scopeKnown = scope
    }
    return key
  }
  return ({ method, url = '', headers }) => {
    const { authorization = '' } = headers
    const credential = /Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    )
    const [, id, scope, names, signature] = credential ?? []
    if (id !== accessKey || scope === undefined || names === undefined || signature === undefined) return false
    const [path = '', query = ''] = url.split('?')
    const lines = names.split(';').map((name) => `${name}:${headers[name]}\n`)
    const payload = headers['x-amz-content-sha256']
    const canonical = `${method}\n${path}\n${query}\n${lines.join('')}\n${names}\n${payload}`
    const digest = createHash('sha256').update(canonical).digest('hex')
    const text = `AWS4-HMAC-SHA256\n${headers['x-amz-date']}\n${scope}\n${digest}`
    const expected = createHmac('sha256', signingKey(scope)).update(text).digest()
    return timingSafeEqual(expected, Buffer.from(signature, 'hex'))
  }
}
