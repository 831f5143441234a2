import { Fault } from '#src/errors.ts'

/**
 * Digits only: no sign, point, exponent or space, which Number() and parseInt would let through (T13). Undefined: no such
 * number. What is beyond exact integers becomes the largest of them, so that comparisons with a limit still hold.
 */
export function parseDigits(text: string): number | undefined {
  if (!/^\d{1,40}$/.test(text)) return undefined
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER)
}

/** A query parameter or header that must be a whole number within bounds; InvalidArgument with S3's fields otherwise. */
export function integerArgument(name: string, text: string, min: number, max: number): number {
  const value = parseDigits(text)
  if (value !== undefined && value >= min && value <= max) return value
  throw new Fault('InvalidArgument', {
    message: `Provided ${name} not an integer or within integer range [${min}, ${max}]`,
    ArgumentName: name,
    ArgumentValue: text,
  })
}
