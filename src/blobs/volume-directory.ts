import { crc32 } from 'node:zlib'
import type { World } from '#src/world.ts'
import { Claim, clearDeadClaims, isAlive } from './claim.ts'
import { createWhole, errorCode, type Files, readWhole, writeAll } from './files.ts'
import { type Place, volumeSeed } from './frame.ts'
import { encodeSegmentHeader, parseSeal, parseSegmentHeader, segmentDataStart } from './segment-header.ts'

/**
 * What lies in a volume's directory, and who may touch it.
 *
 *     identity.json            random id, format
 *     retired.json             while the volume takes no writes: why, since when
 *     claims/<claim>.socket    one per process that has the volume open
 *     segments/NNNNNNNN.segment
 *     segments/NNNNNNNN.gone   empty: remembers the largest number that was ever used
 *
 * D1  a segment's name appears with its header, naming the claim of its only writer, and is on stable storage before the
 *     segment is written to.
 * D2  segment numbers are never used again.
 */
const format = 1
const segmentName = /^(\d{8,})\.(segment|gone)$/

export interface SegmentState {
  readonly number: number
  /** Of the file, in bytes. */
  readonly size: number
  /**
   * Nothing will ever be written to it: by its writer's own word, or because that process is dead. Only such segments may
   * be swept or compacted (C2).
   */
  readonly isSealed: boolean
  /** When its writer closed it, by its wall clock in milliseconds; absent where the writer died first. */
  readonly sealedAt?: number
  /** Its writer's process lives, and may still commit what it wrote there. */
  readonly hasWriter: boolean
  /** The header is valid. Where it is not, the file was damaged, or its creation never became durable. */
  readonly isIntact: boolean
}

export interface NewSegment {
  readonly number: number
  readonly file: number
}

export interface Retirement {
  readonly since: number
  readonly reason: string
}

export class VolumeDirectory {
  readonly id: string
  readonly path: string
  readonly files: Files
  readonly #world: World
  readonly #claim: Claim
  readonly #seed: number
  readonly #dead = new Set<string>()
  #created = 0
  #lastCreated: Promise<unknown> = Promise.resolve()

  private constructor(path: string, id: string, files: Files, world: World, claim: Claim) {
    this.path = path
    this.id = id
    this.files = files
    this.#world = world
    this.#claim = claim
    this.#seed = volumeSeed(id)
  }

  /** Makes the volume where there is none yet. */
  static async open(path: string, files: Files, world: World): Promise<VolumeDirectory> {
    await files.makeDirectory(`${path}/claims`)
    await files.makeDirectory(`${path}/segments`)
    const id = await identify(path, files, world)
    await clearDeadClaims(`${path}/claims`)
    const claim = await Claim.take(`${path}/claims`, randomName(world))
    const directory = new VolumeDirectory(path, id, files, world, claim)
    await directory.#clearUnfinished()
    return directory
  }

  place(segment: number): Place {
    return { seed: this.#seed, segment }
  }

  segmentPath(number: number): string {
    return `${this.#segments}/${String(number).padStart(8, '0')}.segment`
  }

  /** A new segment with its header, durable, open for writing. */
  createSegment(): Promise<NewSegment> {
    // One at a time, since each would take the number that the other wants. A failure is the failed one's alone.
    const created = this.#lastCreated.then(() => this.#createSegment())
    this.#lastCreated = created.catch(() => {})
    return created
  }

  async #createSegment(): Promise<NewSegment> {
    for (;;) {
      const number = (await this.#numbers()).reduce((largest, each) => Math.max(largest, each.number), 0) + 1
      const file = await this.#tryCreate(number)
      if (file === undefined) continue
      // Another process may have used this number and let it go since the directory was read. Then its mark is there, or
      // a larger number (removeSegment keeps the largest), and this one is not ours to use.
      const others = (await this.#numbers()).filter((each) => each.number >= number)
      if (others.length === 1) return { number, file }
      await this.files.close(file)
      await this.files.unlink(this.segmentPath(number))
    }
  }

  async #tryCreate(number: number): Promise<number | undefined> {
    this.#created += 1
    const temporary = `${this.#segments}/${this.#claim.name}.${this.#created}.new`
    const file = await this.files.open(temporary, 'create')
    try {
      const header = encodeSegmentHeader({ volume: this.id, number, claim: this.#claim.name })
      await writeAll(this.files, file, [header], 0)
      await this.files.sync(file)
      await this.files.link(temporary, this.segmentPath(number))
      await this.files.unlink(temporary)
      await this.files.syncDirectory(this.#segments)
      return file
    } catch (error) {
      await this.files.close(file)
      await this.#discard(temporary)
      if (errorCode(error) === 'EEXIST') return undefined
      throw error
    }
  }

  /** All segments, in order of their numbers. Their names are durable when this resolves. */
  async listSegments(): Promise<readonly SegmentState[]> {
    await this.files.syncDirectory(this.#segments)
    const found: SegmentState[] = []
    for (const { number, isGone } of await this.#numbers()) {
      if (isGone) continue
      const state = await this.segmentState(number)
      if (state !== undefined) found.push(state)
    }
    return found.sort((a, b) => a.number - b.number)
  }

  /** Of all segments there are, in no order; their names may not be durable. */
  async segmentNumbers(): Promise<readonly number[]> {
    return (await this.#numbers()).flatMap(({ number, isGone }) => (isGone ? [] : [number]))
  }

  async segmentState(number: number): Promise<SegmentState | undefined> {
    let file: number
    try {
      file = await this.files.open(this.segmentPath(number), 'read')
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
    try {
      const { size } = await this.files.state(file)
      const start = Buffer.alloc(segmentDataStart)
      await this.files.read(file, start, 0)
      const header = parseSegmentHeader(start, this.id, number)
      const sealedAt = parseSeal(start, this.id, number)
      const hasWriter = header !== undefined && !(await this.#isDead(header.claim))
      const isSealed = sealedAt !== undefined || !hasWriter
      const isIntact = header !== undefined
      return { number, size, isSealed, hasWriter, isIntact, ...(sealedAt !== undefined && { sealedAt }) }
    } finally {
      await this.files.close(file)
    }
  }

  /** Removes a segment's file; its number is remembered. Readers that have it open may finish. */
  async removeSegment(number: number): Promise<void> {
    const gone = `${this.#segments}/${String(number).padStart(8, '0')}.gone`
    try {
      await this.files.close(await this.files.open(gone, 'create'))
      await this.files.syncDirectory(this.#segments)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    await this.#discard(this.segmentPath(number))
    const numbers = await this.#numbers()
    const largest = Math.max(...numbers.map((each) => each.number))
    for (const each of numbers) {
      if (!each.isGone || each.number === largest) continue
      await this.#discard(`${this.#segments}/${String(each.number).padStart(8, '0')}.gone`)
    }
    await this.files.syncDirectory(this.#segments)
  }

  async retirement(): Promise<Retirement | undefined> {
    const content = await readWhole(this.files, `${this.path}/retired.json`)
    if (content === undefined) return undefined
    try {
      const { since, reason } = JSON.parse(content.toString()) as Partial<Retirement>
      return { since: since ?? 0, reason: reason ?? 'unknown' }
    } catch {
      // That the file exists is what counts; a disk that is failing may have kept only its name.
      return { since: 0, reason: 'unknown' }
    }
  }

  async markRetired(reason: string): Promise<void> {
    const content = Buffer.from(`${JSON.stringify({ since: this.#world.now(), reason })}\n`)
    await createWhole(this.files, this.path, 'retired.json', `${randomName(this.#world)}.new`, content)
  }

  async clearRetired(): Promise<void> {
    await this.#discard(`${this.path}/retired.json`)
    await this.files.syncDirectory(this.path)
  }

  release(): void {
    this.#claim.release()
  }

  get #segments(): string {
    return `${this.path}/segments`
  }

  /** Removes what processes left that died while they created a segment. */
  async #clearUnfinished(): Promise<void> {
    for (const name of await this.files.list(this.#segments)) {
      const [claim = '', , ending] = name.split('.')
      if (ending === 'new' && (await this.#isDead(claim))) await this.#discard(`${this.#segments}/${name}`)
    }
  }

  async #isDead(claim: string): Promise<boolean> {
    if (claim === this.#claim.name) return false
    if (this.#dead.has(claim)) return true
    if (await isAlive(`${this.path}/claims`, claim)) return false
    this.#dead.add(claim)
    return true
  }

  async #numbers(): Promise<readonly { readonly number: number; readonly isGone: boolean }[]> {
    return (await this.files.list(this.#segments)).flatMap((name) => {
      const match = segmentName.exec(name)
      return match === null ? [] : [{ number: Number(match[1]), isGone: match[2] === 'gone' }]
    })
  }

  async #discard(path: string): Promise<void> {
    try {
      await this.files.unlink(path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
  }
}

const randomName = (world: World): string => Buffer.from(world.randomBytes(16)).toString('hex')

async function identify(path: string, files: Files, world: World): Promise<string> {
  const name = 'identity.json'
  const made = { format, id: randomName(world) }
  const present = await readWhole(files, `${path}/${name}`)
  if (present === undefined) {
    const content = Buffer.from(`${JSON.stringify({ ...made, checksum: crc32(made.id) })}\n`)
    // Of several processes that make the same volume at once, the first one's identity stands.
    await createWhole(files, path, name, `${randomName(world)}.new`, content)
  }
  const content = present ?? (await readWhole(files, `${path}/${name}`))
  const identity: unknown = JSON.parse(content?.toString() ?? 'null')
  if (!isIdentity(identity)) throw new Error(`${path}/${name} is not the identity of a volume`)
  if (identity.format !== format) throw new Error(`${path} has format ${identity.format}; this version knows ${format}`)
  return identity.id
}

function isIdentity(value: unknown): value is { readonly format: number; readonly id: string } {
  if (typeof value !== 'object' || value === null) return false
  if (!('format' in value && 'id' in value && 'checksum' in value)) return false
  return typeof value.id === 'string' && /^[0-9a-f]{32}$/.test(value.id) && value.checksum === crc32(value.id)
}
