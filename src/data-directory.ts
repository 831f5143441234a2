import fs from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Claim, isAlive } from '#src/blobs/claim.ts'
import type { World } from '#src/world.ts'

/**
 * The directory that a node keeps everything in.
 *
 * Q1  one `serve` at a time has it: of two that start at once, at most one goes on.
 * Q2  what was not made by Meridian, or by a Meridian whose format this one does not know, is not touched.
 * Q3  its metadata stays with what keeps it: bytes beside other metadata would be nobody's, and swept.
 */
const format = 1
const formatFile = 'meridian.json'
/** In the directory of the metadata, where that is in a cluster: by which name the cluster knows us. */
const ownerFile = 'foundationdb.json'
/** The same, where it is in LMDB. */
const embeddedFile = 'data.mdb'
/** Where a copy for LMDB is made, below the directory of the metadata. */
const copyDirectory = 'copying'
/** By which name a cluster knows a copy that is being made there. */
const copyFile = 'copying.json'
/** What a copy was made of is kept under its name with this behind it. */
const copied = '.copied'
/** Secrets of access keys lie in the metadata in clear, and LMDB makes its files readable for all. */
const ownerOnly = 0o700

/** Why the directory cannot be used; said to whoever started the process. */
export class DataDirectoryError extends Error {}

function readFormat(file: string): unknown {
  try {
    const content: unknown = JSON.parse(fs.readFileSync(file, 'utf8'))
    return typeof content === 'object' && content !== null && 'format' in content ? content.format : undefined
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined
    throw cause
  }
}

/** Written beside and renamed, so that a crash leaves no half a file. */
function writeWhole(path: string, name: string, content: object): void {
  const [temporary, final] = [join(path, `${name}.new`), join(path, name)]
  const file = fs.openSync(temporary, 'w')
  fs.writeSync(file, `${JSON.stringify(content)}\n`)
  fs.fsyncSync(file)
  fs.closeSync(file)
  fs.renameSync(temporary, final)
  syncDirectory(path)
}

/** A data directory, as the metadata in a cluster knows it. */
export interface ClusterOwner {
  readonly id: string
  readonly isKnown: boolean
}

function readOwner(file: string): ClusterOwner | undefined {
  if (!fs.existsSync(file)) return undefined
  const content: unknown = JSON.parse(fs.readFileSync(file, 'utf8'))
  if (typeof content === 'object' && content !== null && 'id' in content && typeof content.id === 'string') {
    return { id: content.id, isKnown: 'isKnown' in content && content.isKnown === true }
  }
  throw new DataDirectoryError(`${file} does not say whose the metadata is`)
}

function syncDirectory(path: string): void {
  const directory = fs.openSync(path, 'r')
  fs.fsyncSync(directory)
  fs.closeSync(directory)
}

/** With all directories above that are missing; their names are durable when this returns. */
function makeDirectory(path: string): void {
  const first = fs.mkdirSync(path, { recursive: true, mode: ownerOnly })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) syncDirectory(dirname(made))
}

export class DataDirectory {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  get metadata(): string {
    return join(this.path, 'metadata')
  }

  get volume(): string {
    return join(this.path, 'volumes', '0')
  }

  /** Of the server that runs. */
  get claims(): string {
    return join(this.path, 'claims')
  }

  /** Where keys are, unless they are kept elsewhere. */
  get keyFile(): string {
    return join(this.path, 'encryption', 'keys.json')
  }

  /** Makes it where it is missing, and refuses what is not ours (Q2). */
  prepare(): void {
    makeDirectory(resolve(this.path))
    if (this.exists()) this.#checkFormat()
    else this.#begin()
    // The path itself may be a mount point that everybody may look into.
    makeDirectory(resolve(this.metadata))
  }

  #checkFormat(): void {
    const found = readFormat(join(this.path, formatFile))
    if (found === format) return
    throw new DataDirectoryError(
      `${this.path} has the unknown format ${JSON.stringify(found)}: made by a newer version?`,
    )
  }

  #begin(): void {
    // A mount point has a lost+found; a first start that was cut short has the new file only.
    const others = fs.readdirSync(this.path).filter((each) => each !== 'lost+found' && each !== `${formatFile}.new`)
    if (others.length > 0) {
      throw new DataDirectoryError(`${this.path} is not empty and not a data directory of Meridian`)
    }
    writeWhole(this.path, formatFile, { format })
  }

  /** Whether something was ever kept here. */
  exists(): boolean {
    return fs.existsSync(join(this.path, formatFile))
  }

  /** Refuses where the metadata is in a cluster (Q3). */
  checkEmbedded(): void {
    if (!fs.existsSync(join(this.metadata, ownerFile))) return
    throw new DataDirectoryError(`the metadata of ${this.path} is in FoundationDB: give \`--metadata foundationdb\``)
  }

  /**
   * By which name the cluster that keeps the metadata knows this directory, and whether it has been told (Q3). The name is on the disk
   * before the cluster hears it.
   */
  clusterOwner(world: World): ClusterOwner {
    if (fs.existsSync(join(this.metadata, embeddedFile))) {
      throw new DataDirectoryError(`the metadata of ${this.path} is in LMDB: give \`--metadata lmdb\``)
    }
    const known = readOwner(join(this.metadata, ownerFile))
    if (known !== undefined) return known
    makeDirectory(resolve(this.metadata))
    const owner = { id: Buffer.from(world.randomBytes(16)).toString('hex'), isKnown: false }
    writeWhole(this.metadata, ownerFile, owner)
    return owner
  }

  /** To be called once the cluster knows. */
  confirmOwner(owner: ClusterOwner): void {
    if (!owner.isKnown) writeWhole(this.metadata, ownerFile, { ...owner, isKnown: true })
  }

  get keepsEmbedded(): boolean {
    return fs.existsSync(join(this.metadata, embeddedFile))
  }

  get keepsInCluster(): boolean {
    return fs.existsSync(join(this.metadata, ownerFile))
  }

  /** As whom a cluster is to know this directory once a copy of its metadata there is whole: the same at each try. */
  copyOwner(world: World): ClusterOwner {
    const known = readOwner(join(this.metadata, copyFile))
    if (known !== undefined) return known
    const owner = { id: Buffer.from(world.randomBytes(16)).toString('hex'), isKnown: false }
    writeWhole(this.metadata, copyFile, owner)
    return owner
  }

  /** From now on the metadata is in the cluster; the file that it was in is kept beside. A repeat does nothing. */
  moveToCluster(owner: ClusterOwner): void {
    if (!this.keepsInCluster) writeWhole(this.metadata, ownerFile, { ...owner, isKnown: true })
    this.#putAside(embeddedFile)
    fs.rmSync(join(this.metadata, copyFile), { force: true })
  }

  /** Where a copy for LMDB is made. */
  get copyPath(): string {
    const path = join(this.metadata, copyDirectory)
    makeDirectory(resolve(path))
    return path
  }

  /** From now on the metadata is in the copy; by what name the cluster knew this directory is kept beside. A repeat does nothing. */
  moveToEmbedded(): void {
    const made = join(this.metadata, copyDirectory, embeddedFile)
    if (fs.existsSync(made)) fs.renameSync(made, join(this.metadata, embeddedFile))
    syncDirectory(this.metadata)
    this.#putAside(ownerFile)
    fs.rmSync(join(this.metadata, copyDirectory), { recursive: true, force: true })
  }

  #putAside(name: string): void {
    const file = join(this.metadata, name)
    if (fs.existsSync(file)) fs.renameSync(file, `${file}${copied}`)
    syncDirectory(this.metadata)
  }

  /** Takes the directory for one `serve`; the kernel gives it back when the process ends, however it ends (Q1). */
  async lock(world: World): Promise<Claim> {
    const { claims } = this
    fs.mkdirSync(claims, { recursive: true })
    const name = `serve-${Buffer.from(world.randomBytes(8)).toString('hex')}`
    // First the claim, then the look: so of two that start at once, each sees the other, or one is first.
    const claim = await Claim.take(claims, name)
    for (const file of fs.readdirSync(claims)) {
      const other = file.slice(0, -'.socket'.length)
      if (!file.endsWith('.socket') || other === name) continue
      if (await isAlive(claims, other)) {
        claim.release()
        throw new DataDirectoryError(`${this.path} is in use by another meridian serve`)
      }
      fs.rmSync(join(claims, file), { force: true })
    }
    return claim
  }
}
