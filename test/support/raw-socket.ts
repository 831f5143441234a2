import net from 'node:net'

/** What came back on a connection, and how it ended. */
export interface Heard {
  readonly text: string
  /** `open`: the server had not closed it when we stopped listening. */
  readonly end: 'closed' | 'open'
}

export interface RawOptions {
  /** Stop listening after so long. */
  readonly forMs?: number
  /** Stop listening once this has come. */
  readonly until?: RegExp
  /** Written one after another, with a pause between. */
  readonly pauseMs?: number
}

/** Writes bytes on a connection of its own, and hears what comes. */
export function say(
  port: number,
  words: string | readonly (string | Uint8Array)[],
  options: RawOptions = {},
): Promise<Heard> {
  const { forMs = 3_000, until, pauseMs = 0 } = options
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    let text = ''
    const finish = (end: Heard['end']): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, end })
    }
    const timer = setTimeout(() => finish('open'), forMs)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (until?.test(text) === true) finish('open')
    })
    socket.on('error', () => {})
    socket.on('close', () => finish('closed'))
    socket.on('end', () => finish('closed'))
    void (async () => {
      for (const each of typeof words === 'string' ? [words] : words) {
        if (socket.destroyed) return
        if (typeof each === 'string') socket.write(each, 'latin1')
        else socket.write(each)
        if (pauseMs > 0) await new Promise((wake) => setTimeout(wake, pauseMs))
      }
    })()
  })
}

/** The statuses of all answers, in order. */
export const statuses = ({ text }: Heard): readonly number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
