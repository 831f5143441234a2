import { type DestinationStream, pino } from 'pino'

export type LogFields = Readonly<Record<string, unknown>>

/** What anybody may write to the log. A message is a constant; what varies goes into fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** Never in a log, whoever puts it into fields. */
const secrets = ['secret', 'secretKey', 'authorization', 'headers.authorization', '*.secret', '*.secretKey']

/** JSON lines on standard error: standard output belongs to the command's own answers. */
export function openLog(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ fd: 2, sync: true }),
): Log {
  const logger = pino({ level, base: { pid: process.pid }, redact: secrets }, destination)
  const at =
    (name: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}): void => {
      const { error, ...others } = fields
      // pino writes the stack and the causes of what stands under `err`.
      logger[name](error === undefined ? others : { ...others, err: error }, message)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
