import fs from 'node:fs'
import { dirname } from 'node:path'
import { Fault } from '#src/errors.ts'
import type { World } from '#src/world.ts'
import { type DataKey, defaultManagedKey, type KeyProvider, type Keys } from './key-provider.ts'
import { keyBytes, unwrapKey, wrapKey } from './key-wrap.ts'

/**
 * Keys in a file: the store's own, and those that requests name for SSE-KMS. One JSON document, readable by its owner alone:
 * `{ "format": 1, "current": "<id>", "own": { "<id>": "<64 digits>" }, "managed": { "<id>": "<64 digits>" } }`
 *
 * L1  a key that was ever in the file is never replaced; the file is changed as a whole or not at all.
 * L2  of several processes that make the file at once, all use the one that stands.
 * L3  only a server makes the file: of one that a command made, no server would know the keys.
 */
interface KeyFile {
  readonly format: 1
  /** Key for new objects, among `own`. */
  readonly current: string
  readonly own: Readonly<Record<string, string>>
  readonly managed: Readonly<Record<string, string>>
}

const digits = /^[0-9a-f]{64}$/
/** What AWS takes as key ids, ARNs and aliases, and what a file can be read by. */
const keyName = /^[A-Za-z0-9/_:.-]{1,256}$/

export class BadKeyFile extends Error {}

function parseKeyFile(path: string, text: string): KeyFile {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch (cause) {
    throw new BadKeyFile(`${path} is not JSON`, { cause })
  }
  const file = content as Partial<KeyFile> | null
  if (file?.format !== 1) throw new BadKeyFile(`${path} has an unknown format: made by a newer version?`)
  const { current = '', own = {}, managed = {} } = file
  const keys = [...Object.entries(own), ...Object.entries(managed)]
  const bad = keys.find(([, key]) => typeof key !== 'string' || !digits.test(key))
  if (bad !== undefined) throw new BadKeyFile(`${path}: the key ${bad[0]} is not 64 hexadecimal digits`)
  if (!Object.hasOwn(own, current)) throw new BadKeyFile(`${path}: there is no key ${JSON.stringify(current)}`)
  return { format: 1, current, own, managed }
}

function syncDirectory(path: string): void {
  const directory = fs.openSync(path, 'r')
  fs.fsyncSync(directory)
  fs.closeSync(directory)
}

/** `finish` puts the finished file in its place, or fails. */
function writeKeyFile(path: string, file: KeyFile, world: World, finish: (temporary: string) => void): void {
  const temporary = `${path}.${Buffer.from(world.randomBytes(6)).toString('hex')}.new`
  const handle = fs.openSync(temporary, 'wx', 0o600)
  try {
    fs.writeSync(handle, `${JSON.stringify(file, undefined, 2)}\n`)
    fs.fsyncSync(handle)
  } finally {
    fs.closeSync(handle)
  }
  try {
    finish(temporary)
  } finally {
    fs.rmSync(temporary, { force: true })
  }
  syncDirectory(dirname(path))
}

/** Of two that read, change and write the file at once, one would write the other's key away (L1). */
function locked(path: string, body: () => void): void {
  let lock: number
  try {
    lock = fs.openSync(path, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new BadKeyFile(`the keys are being changed by another command; if not, remove ${path}`)
  }
  try {
    body()
  } finally {
    fs.closeSync(lock)
    fs.rmSync(path, { force: true })
  }
}

export class LocalKeys implements Keys {
  readonly own: Keys['own']
  readonly managed: KeyProvider
  readonly #path: string
  readonly #world: World
  #file: KeyFile
  /** Of the file that was read. */
  #modified = 0

  private constructor(path: string, world: World) {
    this.#path = path
    this.#world = world
    this.#file = this.#read()
    this.own = {
      ...this.#provider('own'),
      current: () => this.#file.current,
    }
    this.managed = this.#provider('managed')
  }

  /** Makes the file where there is none. */
  static open(path: string, world: World): LocalKeys {
    if (!fs.existsSync(path)) {
      fs.mkdirSync(dirname(path), { recursive: true })
      const random = (size: number) => Buffer.from(world.randomBytes(size)).toString('hex')
      const current = random(8)
      const own = { [current]: random(keyBytes) }
      const file: KeyFile = { format: 1, current, own, managed: { [defaultManagedKey]: random(keyBytes) } }
      // A link, unlike a rename, does not replace what another process has put there meanwhile (L2).
      writeKeyFile(path, file, world, (temporary) => {
        try {
          fs.linkSync(temporary, path)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        }
      })
    }
    return new LocalKeys(path, world)
  }

  /** For whoever is beside a server: BadKeyFile where there is none (L3). */
  static existing(path: string, world: World): LocalKeys {
    if (!fs.existsSync(path)) {
      throw new BadKeyFile(`there is no key file at ${path}: say where it is with --key-file`)
    }
    return new LocalKeys(path, world)
  }

  managedNames(): readonly string[] {
    return Object.keys(this.#read().managed)
  }

  /** Adds a key for SSE-KMS; Fault `EntityAlreadyExists` where the name is taken (L1). */
  createManaged(name: string): void {
    if (!keyName.test(name)) throw new Fault('InvalidArgument', { message: `${name} cannot be the name of a key` })
    locked(`${this.#path}.lock`, () => this.#add(name))
  }

  #add(name: string): void {
    const file = this.#read()
    if (Object.hasOwn(file.managed, name)) {
      throw new Fault('EntityAlreadyExists', { message: `There is a key ${name} already.` })
    }
    const key = Buffer.from(this.#world.randomBytes(keyBytes)).toString('hex')
    const next = { ...file, managed: { ...file.managed, [name]: key } }
    writeKeyFile(this.#path, next, this.#world, (temporary) => fs.renameSync(temporary, this.#path))
    this.#file = next
  }

  #read(): KeyFile {
    this.#modified = fs.statSync(this.#path).mtimeMs
    return parseKeyFile(this.#path, fs.readFileSync(this.#path, 'utf8'))
  }

  /** The file is read again when it changed: keys are added while servers run. */
  #find(kind: 'own' | 'managed', name: string): Uint8Array {
    if (!Object.hasOwn(this.#file[kind], name) && fs.statSync(this.#path).mtimeMs !== this.#modified) {
      this.#file = this.#read()
    }
    const key = Object.hasOwn(this.#file[kind], name) ? this.#file[kind][name] : undefined
    if (key !== undefined) return Buffer.from(key, 'hex')
    if (kind === 'own') throw new Error(`the store's key ${name} is not in ${this.#path}`)
    throw new Fault('KMS.NotFoundException', { message: `Key '${name}' does not exist` })
  }

  #provider(kind: 'own' | 'managed'): KeyProvider {
    return {
      generate: async (name, context): Promise<DataKey> => {
        const plain = this.#world.randomBytes(keyBytes)
        return { plain, wrapped: wrapKey(this.#find(kind, name), plain, context, this.#world.randomBytes(12)) }
      },
      unwrap: async (name, wrapped, context) => unwrapKey(this.#find(kind, name), wrapped, context),
    }
  }
}
