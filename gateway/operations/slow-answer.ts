import { setTimeout as wait } from 'node:timers/promises'
import type { Xml } from '#gateway/xml/render.ts'
import type { S3Response } from './operation.ts'

/** How long a copy or a completion may take before the client is sent signs of life; clients give up after some 60 s. */
const patience = 5_000

export type Answer<Output> =
  | { readonly kind: 'finished'; readonly output: Output }
  | { readonly kind: 'later'; readonly output: Promise<Output> }

/** What finishes soon is answered with a status and headers of its own; what does not, with 200 and a document to come. */
export async function answerSoon<Output>(work: Promise<Output>, milliseconds = patience): Promise<Answer<Output>> {
  const finished = new AbortController()
  const late = wait(milliseconds, undefined, { signal: finished.signal, ref: false }).catch(() => undefined)
  try {
    const first = await Promise.race([work.then((output) => ({ kind: 'finished', output }) as const), late])
    return first ?? { kind: 'later', output: work }
  } finally {
    finished.abort()
  }
}

/** `headers` tell of the outcome, so an answer that began before it goes without them; what is `known` before is always told. */
export function encodeAnswer<Output>(
  answer: Answer<Output>,
  document: (output: Output) => Xml,
  headers: (output: Output) => Record<string, string>,
  known: Readonly<Record<string, string>> = {},
): S3Response {
  if (answer.kind === 'later') return { status: 200, headers: known, later: answer.output.then(document) }
  return { status: 200, headers: { ...known, ...headers(answer.output) }, body: document(answer.output) }
}
