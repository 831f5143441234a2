import { hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { open as openLmdb } from 'lmdb'
import { administrator } from '../../test/support/server-process.ts'
import { plain, tuned, verifier } from './signature.ts'

/**
 * The bare servers that Meridian is measured against, each a process: `hello` answers a word; `bytes SIZE` verifies the
 * signature and sends so many bytes from memory, `tuned SIZE` too, by faster calls; `file PATH SIZE` verifies the signature
 * and streams a file; `put FOLDER` verifies the signature, reads the body, takes its MD5 and commits it as one record of
 * LMDB, in grouped commits.
 */
const [kind, first = '', second = ''] = process.argv.slice(2)
const verify = verifier(administrator.accessKey, administrator.secretKey, kind === 'tuned' ? tuned : plain)

function listener(): RequestListener {
  if (kind === 'hello') return (_, response) => response.end('hello')
  if (kind === 'put') return putListener(first)
  if (kind === 'bytes' || kind === 'tuned') {
    const bytes = Buffer.alloc(Number(first), 'm')
    return (request, response) => {
      const isSigned = verify(request)
      response.writeHead(isSigned ? 200 : 403, {
        'content-type': 'binary/octet-stream',
        'content-length': bytes.length,
      })
      response.end(request.method === 'HEAD' ? undefined : bytes)
    }
  }
  return (request, response) => {
    response.writeHead(verify(request) ? 200 : 403, { 'content-length': Number(second) })
    createReadStream(first, { highWaterMark: 2 ** 20 }).pipe(response)
  }
}

function putListener(path: string): RequestListener {
  const database = openLmdb({ path, overlappingSync: false, encoding: 'binary', keyEncoding: 'binary' })
  return (request, response) => {
    const isSigned = verify(request)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const body = Buffer.concat(chunks)
      const etag = hash('md5', body, 'hex')
      if (isSigned) await database.transaction(() => database.put(Buffer.from(request.url ?? ''), body))
      response.writeHead(isSigned ? 200 : 403, { etag: `"${etag}"`, 'content-length': 0 })
      response.end()
    })
  }
}

const server = createServer(listener())
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.stdout.write(`ready http://127.0.0.1:${address.port}\n`)
})
process.on('SIGTERM', () => process.exit(0))
