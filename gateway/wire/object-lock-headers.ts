import { Fault } from '#src/errors.ts'
import type { ObjectVersion, Retention } from '#src/model/version.ts'
import { formatIsoDate, parseIsoDate } from './http-date.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html */
export interface ObjectLock {
  readonly retention?: Retention
  readonly hold?: boolean
}

const modeName = 'x-amz-object-lock-mode'
const untilName = 'x-amz-object-lock-retain-until-date'
const holdName = 'x-amz-object-lock-legal-hold'

export function decodeObjectLock(headers: Readonly<Record<string, string | undefined>>): ObjectLock {
  const mode = headers[modeName]
  const until = headers[untilName]
  const hold = headers[holdName]
  if ((mode === undefined) !== (until === undefined)) {
    throw new Fault('InvalidArgument', { message: `${untilName} and ${modeName} must both be supplied` })
  }
  return {
    ...(mode !== undefined &&
      until !== undefined && { retention: { mode: lockMode(mode), until: retainUntil(until) } }),
    ...(hold !== undefined && { hold: holdStatus(hold) }),
  }
}

function lockMode(text: string): Retention['mode'] {
  if (text === 'GOVERNANCE' || text === 'COMPLIANCE') return text
  throw new Fault('InvalidArgument', {
    message: 'Unknown wormMode directive.',
    ArgumentName: modeName,
    ArgumentValue: text,
  })
}

function retainUntil(text: string): number {
  const until = parseIsoDate(text)
  if (until !== undefined) return until
  throw new Fault('InvalidArgument', {
    message: 'The retain until date must be provided in ISO 8601 format',
    ArgumentName: untilName,
    ArgumentValue: text,
  })
}

function holdStatus(text: string): boolean {
  if (text === 'ON' || text === 'OFF') return text === 'ON'
  throw new Fault('InvalidArgument', {
    message: "Legal Hold must be either of 'ON' or 'OFF'",
    ArgumentName: holdName,
    ArgumentValue: text,
  })
}

export function encodeObjectLock({ retention, hold }: ObjectVersion, to: Record<string, string>): void {
  if (retention?.value !== undefined) {
    to[modeName] = retention.value.mode
    to[untilName] = formatIsoDate(retention.value.until)
  }
  if (hold !== undefined) to[holdName] = hold.value ? 'ON' : 'OFF'
}
