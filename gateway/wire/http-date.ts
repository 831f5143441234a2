/** As Last-Modified has it: whole seconds, GMT. */
export const formatHttpDate = (milliseconds: number): string => new Date(milliseconds).toUTCString()

/** As S3's documents have it: `2009-10-12T17:50:30.000Z`. */
export const formatIsoDate = (milliseconds: number): string => new Date(milliseconds).toISOString()

// RFC 9110 §5.6.7: the form to send, and the two obsolete ones to accept.
const httpDate =
  /^[A-Za-z]{3,9},? (\d{2}[ -][A-Za-z]{3}[ -]\d{2,4} \d{2}:\d{2}:\d{2} (GMT|UTC|[+-]0000)|[A-Za-z]{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/
const isoDate = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})$/

/** Milliseconds since the epoch; undefined: not a date. Date.parse alone would take `1` and `foo 1`. */
export function parseHttpDate(text: string): number | undefined {
  const match = httpDate.exec(text.trim())
  if (match === null) return undefined
  // The asctime form names no zone, and means GMT.
  return finite(Date.parse(match[2] === undefined ? `${text.trim()} GMT` : text.trim()))
}

export const parseIsoDate = (text: string): number | undefined =>
  isoDate.test(text) ? finite(Date.parse(text.replace(/(\.\d{3})\d+/, '$1'))) : undefined

/** Clients send either form where S3 documents one. */
export const parseAnyDate = (text: string): number | undefined => parseHttpDate(text) ?? parseIsoDate(text)

const finite = (value: number): number | undefined => (Number.isNaN(value) ? undefined : value)
