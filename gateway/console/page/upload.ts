import type { Client } from './client.ts'
import { child } from './client.ts'
import { attempt, button, byId, el } from './dom.ts'
import { bytes, shown } from './format.ts'
import { completeUpload } from './s3.ts'

const wholeMost = 16 * 2 ** 20
const partLeast = 8 * 2 ** 20
const partsMost = 10_000
const atOnce = 3

interface Sending {
  readonly client: Client
  readonly path: string
  readonly file: File
  readonly told: (sent: number) => void
  readonly signal: AbortSignal
}

const typeOf = ({ type }: File): string => (type === '' ? 'application/octet-stream' : type)

async function sendWhole({ client, path, file, told, signal }: Sending): Promise<void> {
  await client.send({
    method: 'PUT',
    path,
    headers: { 'content-type': typeOf(file) },
    body: file,
    progress: told,
    signal,
  })
}

/** Several parts at once; what is left of an upload that failed is taken away. */
async function sendParts({ client, path, file, told, signal }: Sending): Promise<void> {
  const begun = await client.send({
    method: 'POST',
    path,
    query: { uploads: '' },
    headers: { 'content-type': typeOf(file) },
  })
  const uploadId = child(begun.xml?.documentElement, 'UploadId')
  const size = Math.max(partLeast, Math.ceil(file.size / partsMost / 2 ** 20) * 2 ** 20)
  const count = Math.ceil(file.size / size)
  const sent = new Array<number>(count).fill(0)
  const etags = new Array<string>(count).fill('')
  const failing = new AbortController()
  const either = AbortSignal.any([signal, failing.signal])
  let next = 0
  const work = async (): Promise<void> => {
    while (next < count && !either.aborted) {
      const at = next++
      const answer = await client.send({
        method: 'PUT',
        path,
        query: { partNumber: String(at + 1), uploadId },
        body: file.slice(at * size, (at + 1) * size),
        progress: (done) => {
          sent[at] = done
          told(sent.reduce((sum, each) => sum + each, 0))
        },
        signal: either,
      })
      etags[at] = answer.header('etag') ?? ''
    }
  }
  try {
    await Promise.all(Array.from({ length: atOnce }, work))
    if (signal.aborted) throw new Error('It was stopped.')
    await completeUpload(client, path, uploadId, etags)
  } catch (error) {
    failing.abort()
    await client.send({ method: 'DELETE', path, query: { uploadId } }).catch(() => undefined)
    throw error
  }
}

function line(file: File, stop: () => void) {
  const id = `upload-${crypto.getRandomValues(new Uint32Array(1))[0]}`
  const bar = el('progress', { id, max: Math.max(1, file.size), value: 0 })
  const told = el('span', { class: 'soft' }, `of ${bytes(file.size)}`)
  const label = el('label', { for: id }, shown(file.name))
  const head = el(
    'div',
    { class: 'title' },
    label,
    el('span', { class: 'actions' }, told, button('Stop', stop, { class: 'quiet' })),
  )
  return {
    element: el('div', {}, head, bar),
    tell(sent: number): void {
      bar.value = sent
      told.textContent = `${bytes(sent)} of ${bytes(file.size)}`
    },
  }
}

/** Sends files, one after the other, below a prefix. Going to another page does not stop it. */
export async function upload(client: Client, bucket: string, prefix: string, files: readonly File[]): Promise<number> {
  let done = 0
  for (const file of files) {
    const stopping = new AbortController()
    const { element, tell } = line(file, () => stopping.abort())
    byId('uploads').append(element)
    const sending = { client, path: `/${bucket}/${prefix}${file.name}`, file, told: tell, signal: stopping.signal }
    if (await attempt(() => (file.size > wholeMost ? sendParts(sending) : sendWhole(sending)))) done++
    element.remove()
  }
  return done
}
