import { Fault } from '#src/errors.ts'
import type { Ending } from './access-log.ts'
import { answerOf } from './errors.ts'
import type { S3Response } from './operations/operation.ts'
import { render } from './xml/render.ts'

/** Writes the record of a request; resolves when it is durable, or given up. */
export type Write = (ending: Ending) => Promise<void>

/**
 * The same answer, whose end waits for its record: whoever has heard it whole finds the record in the log.
 * `isBodiless`: of a HEAD, whose answer has headers only.
 */
export async function withRecord(response: S3Response, isBodiless: boolean, write: Write): Promise<S3Response> {
  const { status, headers, body, later, each = [] } = response
  await Promise.all(each.map(({ key, ...outcome }) => write({ ...outcome, ofKey: key })))
  const versionId = headers?.['x-amz-version-id']
  const ending = (bytesSent: number): Ending => ({
    status,
    bytesSent: isBodiless ? 0 : bytesSent,
    ...(versionId !== undefined && { versionId }),
  })
  if (later !== undefined) return { ...response, later: recordLater(later, ending, write) }
  if (body === undefined || isBodiless) {
    await write(ending(0))
    return response
  }
  if (typeof body === 'string' || body instanceof Uint8Array) {
    await write(ending(Buffer.byteLength(body)))
    return response
  }
  if ('children' in body) {
    const document = render(body)
    await write(ending(Buffer.byteLength(document)))
    return { ...response, headers: { 'content-type': 'application/xml', ...headers }, body: document }
  }
  const declared = headers?.['content-length']
  return { ...response, body: recordStream(body, declared === undefined ? undefined : Number(declared), ending, write) }
}

async function recordLater(
  later: NonNullable<S3Response['later']>,
  ending: (bytesSent: number) => Ending,
  write: Write,
): NonNullable<S3Response['later']> {
  try {
    const document = await later
    await write(ending(Buffer.byteLength(render(document))))
    return document
  } catch (error) {
    // Whatever else went wrong is recorded as what it is answered with.
    const code = error instanceof Fault ? error.code : 'InternalError'
    await write({ status: answerOf(code).status, errorCode: code })
    throw error
  }
}

/** The record is written before the last piece is handed on, or where the client left. */
async function* recordStream(
  source: AsyncIterable<Uint8Array>,
  length: number | undefined,
  ending: (bytesSent: number) => Ending,
  write: Write,
): AsyncGenerator<Uint8Array> {
  let sent = 0
  let isWritten = false
  try {
    for await (const piece of source) {
      if (!isWritten && length !== undefined && sent + piece.length >= length) {
        isWritten = true
        await write(ending(sent + piece.length))
      }
      yield piece
      sent += piece.length
    }
    if (!isWritten) await write(ending(sent))
    isWritten = true
  } finally {
    // What fails before its first piece gets another answer, and that one its record.
    if (!isWritten && sent > 0) await write(ending(sent))
  }
}
