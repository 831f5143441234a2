import { createHash } from 'node:crypto'

/** A user the server must know before a suite starts: suites bring ids, names and keys of their own. */
export interface Person {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly accessKey: string
  readonly secretKey: string
  /** As the command line takes it; absent: it stands alone. */
  readonly tenant?: string
  readonly isAdministrator?: boolean
}

/** The same word makes the same person on every run. The keys open nothing but a server that a test started. */
export function person(word: string): Person {
  const digest = (of: string) => createHash('sha256').update(`meridian compat ${word} ${of}`)
  return {
    id: digest('id').digest('hex'),
    name: `Compat ${word}`,
    email: `${word}@compat.example`,
    accessKey: `MC${digest('access').digest('hex').slice(0, 18).toUpperCase()}`,
    secretKey: digest('secret').digest('base64').slice(0, 40).replaceAll('+', 'x'),
  }
}
