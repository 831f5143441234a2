import { Fault } from '#src/errors.ts'

export type Fields = Readonly<Record<string, unknown>>

export const malformed = (message: string): Fault => new Fault('MalformedPolicy', { message })

export function asFields(value: unknown, message: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(message)
  return value as Fields
}

/** A text, or a list of one or more. */
export function texts(value: unknown, message: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw malformed(message)
  return list.map((each) => {
    // A JSON escape may bring in half a character.
    if (typeof each !== 'string' || !each.isWellFormed()) throw malformed(message)
    return each
  })
}
