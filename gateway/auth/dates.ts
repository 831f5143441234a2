/** How far a client's clock may be off: AWS's own figure. */
export const skewMax = 15 * 60 * 1000

function digits(text: string, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** `20130524T000000Z`, in milliseconds since the epoch. Undefined: not of that shape, or no such moment. */
export function parseAmzDate(text: string): number | undefined {
  if (text.length !== 16 || text[8] !== 'T' || text[15] !== 'Z') return undefined
  const month = digits(text, 4, 6)
  const day = digits(text, 6, 8)
  const hour = digits(text, 9, 11)
  const minute = digits(text, 11, 13)
  const second = digits(text, 13, 15)
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 60))
    return undefined
  const time = Date.UTC(digits(text, 0, 4), month - 1, day, hour, minute, second)
  return Number.isNaN(time) ? undefined : time
}

/** An HTTP date, or AWS's basic form. Undefined: neither, or before the epoch. */
export function parseDate(text: string): number | undefined {
  const time = parseAmzDate(text) ?? Date.parse(text)
  return Number.isNaN(time) || time < 0 ? undefined : time
}

/** As signatures name a moment. */
export function amzDate(time: number): string {
  return new Date(time).toISOString().replace(/[-:]|\.\d+/g, '')
}
