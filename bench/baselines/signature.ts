import { createHash, createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

interface Digests {
  signingKey(bytes: Buffer): Buffer | KeyObject
  sha256(text: string): string
}

/** As most programs call Node's crypto. */
export const plain: Digests = {
  signingKey: (bytes) => bytes,
  sha256: (text) => createHash('sha256').update(text).digest('hex'),
}

/** The fastest calls that Node has for it. */
export const tuned: Digests = {
  signingKey: (bytes) => createSecretKey(bytes),
  sha256: (text) => hash('sha256', text, 'hex'),
}

/** The least that verifies a version 4 signature in a header: what a bare server has to do too, to be compared with. */
export function verifier(
  accessKey: string,
  secretKey: string,
  digests: Digests,
): (request: IncomingMessage) => boolean {
  let scopeKnown = ''
  let key: Buffer | KeyObject = Buffer.alloc(0)
  const signingKey = (scope: string): Buffer | KeyObject => {
    if (scope !== scopeKnown) {
      const steps = scope.split('/')
      const bytes = steps.reduce(
        (last: Buffer, step) => createHmac('sha256', last).update(step).digest(),
        Buffer.from(`AWS4${secretKey}`),
      )
      key = digests.signingKey(bytes)
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
    const digest = digests.sha256(canonical)
    const text = `AWS4-HMAC-SHA256\n${headers['x-amz-date']}\n${scope}\n${digest}`
    const expected = createHmac('sha256', signingKey(scope)).update(text).digest()
    return timingSafeEqual(expected, Buffer.from(signature, 'hex'))
  }
}
