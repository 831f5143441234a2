import { Fault } from '#src/errors.ts'
import { checkKey } from '#src/model/names.ts'
import type { Asked } from './resource.ts'

const invalid = (name: string, message: string): Fault => new Fault('InvalidArgument', { message, ArgumentName: name })

/** What a query says. Fault `InvalidArgument` where it does not. */
export function queryText({ query }: Pick<Asked, 'query'>, name: string): string {
  const value = query.get(name)
  if (value === undefined || value === '') throw invalid(name, `${name} is missing`)
  return value
}

/** A text of the JSON that was posted. Fault `InvalidArgument` where it is none, or empty. */
export function bodyText({ body }: Pick<Asked, 'body'>, name: string): string {
  const value = Object.hasOwn(body, name) ? body[name] : undefined
  if (typeof value !== 'string' || value === '' || !value.isWellFormed()) throw invalid(name, `${name} is a text`)
  return value
}

/** An object's name, from either. */
export function checkedName(bucket: string, key: string): { readonly bucket: string; readonly key: string } {
  checkKey(key)
  return { bucket, key }
}
