import { answerOf } from '#gateway/errors.ts'
import type { Fault } from '#src/errors.ts'

/** What the store refuses, in words: where it has none of its own, in those that clients of S3 read for its code. */
export const wordsOf = ({ message, code }: Fault): string =>
  message === code ? `${code}: ${answerOf(code).message}` : message
