import { Fault } from '#src/errors.ts'
import { type Operation, operation } from './operation.ts'
import { everyOperation } from './unimplemented.ts'

/** The operations there are: one import and one line each. Of equal weight, the first one is taken (D1). */
export const implemented: readonly Operation[] = []

function notImplemented(name: string, match: Operation['match']): Operation {
  return operation({
    name,
    match,
    action: `s3:${name}`,
    decode: () => {
      throw new Fault('NotImplemented', { message: `${name} is not implemented.`, Operation: name })
    },
    run: async () => undefined,
    encode: () => ({ status: 501 }),
  })
}

/** All of S3: what is there, and NotImplemented for what is not there yet. */
export function allOperations(present: readonly Operation[] = implemented): readonly Operation[] {
  const names = new Set(present.map(({ name }) => name))
  const absent = everyOperation.filter(({ name }) => !names.has(name))
  return [...present, ...absent.map(({ name, match }) => notImplemented(name, match))]
}
