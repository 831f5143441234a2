import { setTimeout as wait } from 'node:timers/promises'
import { answerOf, faultOf } from '#gateway/errors.ts'
import { type Context, operation, type S3Request } from '#gateway/operations/operation.ts'
import { decodeReadKey } from '#gateway/wire/encryption-headers.ts'
import {
  continuationMessage,
  endMessage,
  errorMessage,
  recordsMessage,
  statsMessage,
} from '#gateway/wire/event-stream.ts'
import { parseSelect, type WantedSelect } from '#gateway/wire/select-document.ts'
import { parseXml, settingsLimits } from '#gateway/xml/parse.ts'
import { Fault } from '#src/errors.ts'
import { parseQuery } from '#src/select/parser.ts'
import { type Query, QueryProcesses, type QueryStep } from '#src/select/query-processes.ts'
import { ObjectSource } from './object-source.ts'
import { actionOf, targetOf } from './target.ts'

/** Of this process; they start with the first query. */
const processes = new QueryProcesses({ runningMax: 4, waitingMax: 64, heapMegabytes: 256, silentMs: 60_000 })

/** How often a client hears of a query that has found nothing yet. */
const tickMs = 1_000

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html */
export const selectObjectContent = operation({
  name: 'SelectObjectContent',
  match: { method: 'POST', scope: 'object', keys: ['select', 'select-type=2'] },
  action: actionOf('s3:GetObject', 's3:GetObjectVersion'),

  async decode(request) {
    const customerKey = decodeReadKey(request.headers)
    const wanted = parseSelect(await readRequest(request))
    // What is wrong with the query is told before anything is read.
    parseQuery(wanted.query.expression)
    return { target: { ...targetOf(request), ...(customerKey !== undefined && { customerKey }) }, ...wanted }
  },

  async run({ target, query, wantsProgress }, { services: { objects }, guard }: Context) {
    const found = await objects.head({ ...target, guard, conditions: {} })
    const source = new ObjectSource(objects, { ...target, guard }, found, query.input.kind !== 'parquet')
    return messages({ query, wantsProgress }, source)
  },

  encode: (body) => ({ status: 200, headers: { 'content-type': 'application/octet-stream' }, body }),
})

async function readRequest(request: S3Request) {
  const bytes = await request.body.collect(settingsLimits.bytesMax)
  if (bytes.length === 0) throw new Fault('EmptyRequestBody')
  return parseXml(bytes, ['SelectObjectContentRequest', 'SelectRequest'], settingsLimits)
}

/** What goes wrong before the first message is thrown, and gets a status of its own; later it is a message. */
async function* messages({ query, wantsProgress }: WantedSelect, source: ObjectSource): AsyncGenerator<Uint8Array> {
  const running = await processes.start({ ...query, now: Date.now() }, source)
  let hasBegun = false
  try {
    for await (const step of steps(running)) {
      hasBegun = true
      if (step !== 'nothing yet') yield recordsMessage(step)
      else yield wantsProgress ? statsMessage('Progress', running.stats) : continuationMessage()
    }
    if (wantsProgress) yield statsMessage('Progress', running.stats)
    yield statsMessage('Stats', running.stats)
    yield endMessage()
  } catch (error) {
    const { fault, isExpected } = faultOf(error)
    // Thrown on, what nobody expected is logged.
    if (!hasBegun || !isExpected) throw error
    yield errorMessage(fault.code, String(fault.details['message'] ?? answerOf(fault.code).message))
  } finally {
    running.stop()
    await source.close()
  }
}

/** What a query finds; from time to time, that it found nothing yet. */
async function* steps(query: Query): AsyncGenerator<NonNullable<QueryStep> | 'nothing yet'> {
  let next = query.next()
  for (;;) {
    const step = await within(next)
    if (step === undefined) return
    yield step
    // Records that the client has not taken hold up the query.
    if (step !== 'nothing yet') next = query.next()
  }
}

async function within(next: Promise<QueryStep>): Promise<QueryStep | 'nothing yet'> {
  const found = new AbortController()
  const late = wait(tickMs, 'nothing yet' as const, { signal: found.signal, ref: false }).catch(() => undefined)
  try {
    return await Promise.race([next, late])
  } finally {
    found.abort()
  }
}
