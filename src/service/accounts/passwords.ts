import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { PasswordHash } from '#src/model/organization.ts'
import type { World } from '#src/world.ts'

const derive = promisify<string, Uint8Array, number, ScryptOptions, Buffer>(scrypt)

/** Some 60 ms and 32 MiB on the machines of 2025: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
const cost = 2 ** 15
const [saltBytes, hashBytes] = [16, 32]
const blockSize = 8

/** At once in one process: each takes its memory, and one of the few threads that files are read with. */
const atOnce = 2

const hash = (password: string, salt: Uint8Array, N: number): Promise<Buffer> =>
  // One password however it was typed: https://www.rfc-editor.org/rfc/rfc8265
  derive(password.normalize('NFKC'), salt, hashBytes, { N, r: blockSize, p: 1, maxmem: 256 * N * blockSize })

/** Compared with where there is no such person, so that the answer takes as long. */
const nobody: PasswordHash = {
  cost,
  salt: randomBytes(saltBytes).toString('base64'),
  hash: randomBytes(hashBytes).toString('base64'),
}

/** Passwords are kept as what scrypt makes of them, and compared in constant time. */
export class Passwords {
  readonly #world: Pick<World, 'randomBytes'>
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(world: Pick<World, 'randomBytes'>) {
    this.#world = world
  }

  async hash(password: string): Promise<PasswordHash> {
    const salt = this.#world.randomBytes(saltBytes)
    const made = await this.#inTurn(() => hash(password, salt, cost))
    return { cost, salt: Buffer.from(salt).toString('base64'), hash: made.toString('base64') }
  }

  /** Takes as long where there is none. */
  async matches(password: string, kept: PasswordHash | undefined): Promise<boolean> {
    const { cost: N, salt, hash: wanted } = kept ?? nobody
    const made = await this.#inTurn(() => hash(password, Buffer.from(salt, 'base64'), N))
    return timingSafeEqual(made, Buffer.from(wanted, 'base64')) && kept !== undefined
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
