import { Fault } from '#src/errors.ts'
import type { WantedBytes } from '#src/model/range.ts'
import { parseDigits } from './integer.ts'

const single = /^bytes=(\d*)-(\d*)$/

/**
 * The Range header. What S3 cannot make sense of, and several ranges at once, mean the whole object: undefined. A range that is
 * well-formed but lies behind the end is refused later (416), as `bytes=-0` is.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 */
export function parseRange(text: string): WantedBytes | undefined {
  const [, first = '', last = ''] = single.exec(text) ?? []
  const from = parseDigits(first)
  const to = parseDigits(last)
  if (from === undefined) return first === '' && to !== undefined ? { kind: 'suffix', bytes: to } : undefined
  if (to === undefined) return last === '' ? { kind: 'range', from } : undefined
  return to < from ? undefined : { kind: 'range', from, to }
}

/** x-amz-copy-source-range knows one form only; `to` is inclusive. https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html */
export function parseCopyRange(text: string): { readonly from: number; readonly to: number } {
  const range = parseRange(text)
  if (range?.kind === 'range' && range.to !== undefined) return { from: range.from, to: range.to }
  throw new Fault('InvalidArgument', {
    message:
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    ArgumentName: 'x-amz-copy-source-range',
    ArgumentValue: text,
  })
}

/** Of bytes [from, to) of an object of `size` bytes. */
export const formatContentRange = (from: number, to: number, size: number): string => `bytes ${from}-${to - 1}/${size}`
