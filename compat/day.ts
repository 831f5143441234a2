import { join } from 'node:path'
import { attempt, type Ran, type RunOptions, refuse, run } from './commands.ts'
import type { Tree } from './files.ts'
import type { Journal } from './journal.ts'
import type { Site } from './server.ts'

/** What each client gets for its working day: a server, real files, a big file, and room to work in. */
export interface Day {
  readonly site: Site
  readonly journal: Journal
  /** Its own copy: a client may change it. */
  readonly tree: Tree
  readonly big: string
  readonly bigBytes: number
  /** An empty directory of its own, which is also its home: no setting of the person who runs this leaks in. */
  readonly work: string
}

export interface Client {
  readonly name: string
  /** Finds or installs the client; undefined where this machine cannot have it. */
  find(): Promise<Tool | undefined>
}

export interface Tool {
  version(): Promise<string>
  work(day: Day): Promise<void>
}

/** A command-line client, with the settings that each of its calls needs. */
export class Program {
  readonly #command: string
  readonly #before: readonly string[]
  readonly #options: RunOptions

  constructor(day: Day, command: string, before: readonly string[], environment: Readonly<Record<string, string>>) {
    this.#command = command
    this.#before = before
    this.#options = {
      cwd: day.work,
      environment: { PATH: process.env['PATH'], HOME: day.work, LANG: 'C.UTF-8', ...environment },
    }
  }

  run(...args: string[]): Promise<string> {
    return run(this.#command, [...this.#before, ...args], this.#options)
  }

  attempt(...args: string[]): Promise<Ran> {
    return attempt(this.#command, [...this.#before, ...args], this.#options)
  }

  refused(why: RegExp, ...args: string[]): Promise<void> {
    return refuse(this.#command, [...this.#before, ...args], why, this.#options)
  }

  feed(input: string, ...args: string[]): Promise<string> {
    return run(this.#command, [...this.#before, ...args], { ...this.#options, input })
  }
}

/** The keys, for clients that read them where Amazon's own do. */
export function awsEnvironment(site: Site): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: site.accessKey,
    AWS_SECRET_ACCESS_KEY: site.secretKey,
    AWS_DEFAULT_REGION: site.region,
    AWS_REGION: site.region,
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}

export function inside(day: Day, name: string): string {
  return join(day.work, name)
}

/** Asks with nothing but HTTP, as a browser or curl would with a presigned address. */
export async function plain(
  url: string,
  init: RequestInit = {},
): Promise<{ status: number; body: Buffer; headers: Headers }> {
  const answer = await fetch(url, init)
  return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()), headers: answer.headers }
}

/** A presigned address serves what was put, and nothing when its signature is touched. */
export async function checkPresigned(url: string, expected: Buffer): Promise<string> {
  const served = await plain(url)
  check(
    served.status === 200,
    `the presigned address answered ${served.status}: ${served.body.toString().slice(0, 500)}`,
  )
  check(served.body.equals(expected), 'the presigned address served other bytes')
  const forged = await plain(forge(url))
  check(forged.status === 403, `a forged presigned address answered ${forged.status}`)
  return `${served.body.length} bytes over plain HTTP, 403 once its signature is touched`
}

/** The same address with its signature changed in one place. */
function forge(url: string): string {
  const address = new URL(url)
  const name = ['X-Amz-Signature', 'Signature'].find((each) => address.searchParams.has(each))
  if (name === undefined) throw new Error(`there is no signature in ${url}`)
  const signature = address.searchParams.get(name) ?? ''
  const first = signature.startsWith('0') ? '1' : '0'
  address.searchParams.set(name, first + signature.slice(1))
  return address.href
}

export function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise)
}

export function same<Value>(actual: Value, expected: Value, what: string): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`${what} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`)
  }
}
