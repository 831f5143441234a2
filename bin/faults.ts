import { answerOf } from '#gateway/errors.ts'
import { Fault, type FaultCode } from '#src/errors.ts'

/**
 * Runs what asks the store by itself. A Fault without words of its own is told in those that clients of S3 read for its code, or in
 * better ones, by code.
 */
export async function inWords<Result>(
  run: () => Promise<Result>,
  better: Partial<Record<FaultCode, string>> = {},
): Promise<Result> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof Fault) || error.message !== error.code) throw error
    throw new Error(`${error.code}: ${better[error.code] ?? answerOf(error.code).message}`, { cause: error })
  }
}
