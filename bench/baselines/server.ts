import cluster from 'node:cluster'
import { hash } from 'node:crypto'
import { createReadStream, openSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import { administrator } from '../../test/support/server-process.ts'
import { Appender } from './appender.ts'
import { plain, tuned, verifier } from './signature.ts'

/**
 * The bare servers that Meridian is measured against, each a process: `hello` answers a word; `bytes SIZE` verifies the
 * signature and sends so many bytes from memory, `tuned SIZE` too, by faster calls; `file PATH SIZE` verifies the signature
 * and streams a file; `put FOLDER` verifies the signature, reads the body, takes its MD5 and commits it as one record of
 * LMDB, in grouped commits; `append FOLDER WORKERS` appends it to a file with a shared fdatasync, and then commits one small
 * record, in so many processes.
 */
const [kind, first = '', second = ''] = process.argv.slice(2)
const verify = verifier(administrator.accessKey, administrator.secretKey, kind === 'tuned' ? tuned : plain)

function listener(): RequestListener {
  if (kind === 'hello') return (_, response) => response.end('hello')
  if (kind === 'put') return putListener(first)
  if (kind === 'append') return appendListener(first)
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

/** Verifies, reads the body, takes its MD5, and answers once it was kept. */
function keeping(keep: (key: Buffer, body: Buffer) => Promise<unknown>): RequestListener {
  return (request, response) => {
    const isSigned = verify(request)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const body = Buffer.concat(chunks)
      const etag = hash('md5', body, 'hex')
      if (isSigned) await keep(Buffer.from(request.url ?? ''), body)
      response.writeHead(isSigned ? 200 : 403, { etag: `"${etag}"`, 'content-length': 0 })
      response.end()
    })
  }
}

const openDatabase = (path: string) =>
  openLmdb({ path, overlappingSync: false, encoding: 'binary', keyEncoding: 'binary' })

function putListener(path: string): RequestListener {
  const database = openDatabase(path)
  return keeping((key, body) => database.transaction(() => database.put(key, body)))
}

function appendListener(path: string): RequestListener {
  const database = openDatabase(join(path, 'lmdb'))
  const appender = new Appender(openSync(join(path, `segment-${process.pid}`), 'w'))
  const record = Buffer.alloc(200)
  return keeping(async (key, body) => {
    await appender.append(body)
    await database.transaction(() => database.put(key, record))
  })
}

function serve(): void {
  const server = createServer(listener())
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') process.send?.(address.port) ?? ready(address.port)
  })
}

const ready = (port: number): boolean => process.stdout.write(`ready http://127.0.0.1:${port}\n`)

const workers = kind === 'append' && cluster.isPrimary ? Number(second) : 0
for (let each = 0; each < workers; each++) cluster.fork()
let listening = 0
cluster.on('message', (_, port: number) => {
  if (++listening === workers) ready(port)
})
if (workers === 0) serve()
process.on('SIGTERM', () => process.exit(0))
