/** How buckets are logged. */
export interface LogOptions {
  /** After which a log is closed, where the source's configuration does not say. */
  readonly rollSeconds: number
  /** Of the records that one process adds to one log: then it is closed too. */
  readonly bytesMax: number
}

export const usualLogs: LogOptions = { rollSeconds: 300, bytesMax: 16 * 2 ** 20 }
