/**
 * multipart/form-data of browser uploads, read as it comes. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
 *
 * F1  what is handed on as the file is exactly what lies between its part's head and the next boundary; a body that ends
 *     before that boundary is a Fault.
 * F2  fields before the file take at most `fieldBytesMax` together, and the file none but what came at once.
 */
import type { RequestBody } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'

/** S3's own: "20 KB", its policy included, and some room for the parts' heads. */
export const fieldBytesMax = 20 * 1024
const headBytesMax = 4096
const fieldsMax = 200

export interface Form {
  /** Lower-case names; each once. */
  readonly fields: ReadonlyMap<string, string>
  /** As the browser named it: the last part of its path. Empty: it did not. */
  readonly fileName: string
  /** The file. What follows it in the form is read, and ignored, before this ends. At most one reader. */
  file(): AsyncIterable<Uint8Array>
  /** Lets go of the body, whose rest is then somebody else's to read. */
  close(): Promise<void>
}

const malformed = (message?: string): Fault =>
  new Fault('MalformedPOSTRequest', message === undefined ? {} : { message })

/** The boundary of a multipart/form-data content type; undefined: it is another type. */
export function formBoundary(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return undefined
  const [type = '', ...parameters] = contentType.split(';')
  if (type.trim().toLowerCase() !== 'multipart/form-data') return undefined
  for (const each of parameters) {
    const equals = each.indexOf('=')
    if (each.slice(0, equals).trim().toLowerCase() !== 'boundary') continue
    const value = each.slice(equals + 1).trim()
    const boundary = value.startsWith('"') && value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value
    if (boundary.length > 0 && boundary.length <= 70) return boundary
  }
  throw malformed('The content type has no boundary of 1 to 70 characters.')
}

/** Bytes of a body up to marks in them, however they are cut. */
class MarkedReader {
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Buffer = Buffer.alloc(0)
  #isOver = false

  constructor(body: RequestBody) {
    this.#source = body.stream()[Symbol.asyncIterator]()
  }

  async #more(): Promise<boolean> {
    if (this.#isOver) return false
    const step = await this.#source.next()
    if (step.done === true) {
      this.#isOver = true
      return false
    }
    const { buffer, byteOffset, length } = step.value
    const chunk = Buffer.from(buffer, byteOffset, length)
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    return true
  }

  /** What stands before the mark, which is taken off too. */
  async until(mark: Buffer, bytesMax: number, tooLong: () => Fault): Promise<Buffer> {
    let searched = 0
    for (;;) {
      const found = this.#rest.indexOf(mark, searched)
      const end = found < 0 ? this.#rest.length - mark.length + 1 : found
      if (end > bytesMax) throw tooLong()
      if (found >= 0) {
        const before = this.#rest.subarray(0, found)
        this.#rest = this.#rest.subarray(found + mark.length)
        return before
      }
      searched = Math.max(0, end)
      if (!(await this.#more())) throw malformed()
    }
  }

  async take(count: number): Promise<Buffer> {
    while (this.#rest.length < count) if (!(await this.#more())) throw malformed()
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  /** As `until`, in pieces as they come. */
  async *piecesUntil(mark: Buffer): AsyncIterable<Buffer> {
    for (;;) {
      const found = this.#rest.indexOf(mark)
      // The beginning of a mark may stand at the end of what came.
      const end = found < 0 ? Math.max(0, this.#rest.length - mark.length + 1) : found
      if (end > 0) {
        const piece = this.#rest.subarray(0, end)
        this.#rest = this.#rest.subarray(end)
        yield piece
      }
      if (found >= 0) {
        this.#rest = this.#rest.subarray(mark.length)
        return
      }
      if (!(await this.#more())) throw malformed()
    }
  }

  /** Reads to the end, so that the body's own length and hash are checked. */
  async skipAll(): Promise<void> {
    do this.#rest = Buffer.alloc(0)
    while (await this.#more())
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed('A form field is not valid UTF-8.')
  }
}

interface Part {
  readonly name: string
  readonly fileName: string
}

/** What a quoted text says, and where it ends; `from` is behind its first quote. */
function quoted(text: string, from: number): { readonly value: string; readonly end: number } {
  let value = ''
  let at = from
  for (; at < text.length && text[at] !== '"'; at++) {
    const next = text[at + 1]
    // Browsers leave other backslashes as they are: they are of Windows paths.
    if (text[at] === '\\' && (next === '"' || next === '\\')) at++
    value += text[at]
  }
  return { value, end: at }
}

/** The parameters of `form-data; name="a"; filename="b"`. */
function dispositionParameters(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (let at = text.indexOf(';'); at >= 0; ) {
    const equals = text.indexOf('=', at)
    if (equals < 0) break
    const name = text
      .slice(at + 1, equals)
      .trim()
      .toLowerCase()
    const inner = text[equals + 1] === '"' ? quoted(text, equals + 2) : undefined
    at = text.indexOf(';', inner?.end ?? equals)
    const value = inner?.value ?? text.slice(equals + 1, at < 0 ? text.length : at).trim()
    if (found.has(name)) throw malformed()
    found.set(name, value)
  }
  return found
}

/** `filename*=utf-8''na%C3%AFve.txt` of RFC 5987, which some libraries send. */
function extendedValue(text: string | undefined): string | undefined {
  const [charset = '', , value = ''] = text?.split("'") ?? []
  if (charset.toLowerCase() !== 'utf-8') return undefined
  try {
    return decodeURIComponent(value)
  } catch {
    throw malformed()
  }
}

function parseHead(head: string): Part {
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':')
    if (line.slice(0, colon).trim().toLowerCase() !== 'content-disposition') continue
    const parameters = dispositionParameters(line.slice(colon + 1))
    const name = parameters.get('name')
    if (name === undefined) break
    const fileName = extendedValue(parameters.get('filename*')) ?? parameters.get('filename') ?? ''
    // Some browsers send a whole path.
    return {
      name: name.toLowerCase(),
      fileName: fileName.slice(Math.max(fileName.lastIndexOf('/'), fileName.lastIndexOf('\\')) + 1),
    }
  }
  throw malformed('A part of the form has no name.')
}

const tooManyFields = (): Fault => new Fault('MaxPostPreDataLengthExceededError')
const endOfHead = Buffer.from('\r\n\r\n')

/** Reads the fields, up to the first byte of the file. */
export async function readForm(boundary: string, body: RequestBody): Promise<Form> {
  const reader = new MarkedReader(body)
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const fields = new Map<string, string>()
  let room = fieldBytesMax
  try {
    // The first boundary may stand at the very beginning, without a line break before it.
    const first = await reader.take(delimiter.length - 2)
    if (!first.equals(delimiter.subarray(2))) {
      await reader.until(delimiter, headBytesMax, malformed)
    }
    for (;;) {
      const after = (await reader.take(2)).toString('latin1')
      if (after === '--') throw noFile()
      if (after !== '\r\n') throw malformed()
      const head = await reader.until(endOfHead, headBytesMax, malformed)
      const { name, fileName } = parseHead(decodeText(head))
      if (name === 'file')
        return { fields, fileName, file: () => fileOf(reader, delimiter), close: () => reader.close() }
      const value = await reader.until(delimiter, room, tooManyFields)
      room -= name.length + value.length
      if (room < 0 || fields.size >= fieldsMax) throw tooManyFields()
      if (fields.has(name)) throw repeated(name)
      fields.set(name, decodeText(value))
    }
  } catch (cause) {
    await reader.close()
    throw cause
  }
}

async function* fileOf(reader: MarkedReader, delimiter: Buffer): AsyncIterable<Uint8Array> {
  try {
    yield* reader.piecesUntil(delimiter)
    await reader.skipAll()
  } finally {
    await reader.close()
  }
}

const noFile = (): Fault =>
  new Fault('InvalidArgument', {
    message: 'POST requires exactly one file upload per request.',
    ArgumentName: 'file',
    ArgumentValue: '0',
  })

const repeated = (name: string): Fault =>
  new Fault('InvalidArgument', {
    message: `The form field ${name} must not be given more than once.`,
    ArgumentName: name,
  })
