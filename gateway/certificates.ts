import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Log } from '#src/telemetry/log.ts'

/** Files are looked at again when somebody connects, but not more often than this. */
const lookMilliseconds = 1_000

interface Loaded {
  readonly version: string
  readonly context: SecureContext
  /** Host names, also `*.example.com`. */
  readonly names: readonly string[]
}

/** Names that a certificate is for, in lower case; the subject's own where it has no others. */
function namesOf({ subjectAltName, subject }: X509Certificate): readonly string[] {
  const alternatives = (subjectAltName ?? '').split(', ')
  const names = alternatives.flatMap((each) => (each.startsWith('DNS:') ? each.slice(4).toLowerCase() : []))
  const [, common] = /^CN=(.*)$/m.exec(subject) ?? []
  return names.length > 0 || common === undefined ? names : [common.toLowerCase()]
}

/**
 * Certificates of a folder: `<any>.crt` and `<any>.key`, in PEM; which hosts each is for stands in it.
 *
 * G8  a certificate that was renewed, added or taken away counts for the next connection, without a restart; one that cannot be
 *     read leaves the one before in its place.
 */
export class Certificates {
  readonly #folder: string
  readonly #log: Log
  #loaded = new Map<string, Loaded>()
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined

  constructor(folder: string, log: Log) {
    this.#folder = folder
    this.#log = log
  }

  /** For a host, or the one called `default` where none is for it. */
  async contextFor(host: string): Promise<SecureContext | undefined> {
    await this.refresh()
    const name = host.toLowerCase()
    const wildcard = `*${name.slice(name.indexOf('.'))}`
    const all = [...this.#loaded.values()]
    const found =
      all.find(({ names }) => names.includes(name)) ??
      all.find(({ names }) => names.includes(wildcard)) ??
      this.#loaded.get('default')
    return found?.context
  }

  /** Reads what has changed. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#lookedAt < lookMilliseconds) return
    this.#looking ??= this.#look().finally(() => {
      this.#lookedAt = performance.now()
      this.#looking = undefined
    })
    await this.#looking
  }

  async #look(): Promise<void> {
    let names: readonly string[]
    try {
      names = (await readdir(this.#folder)).filter((name) => name.endsWith('.crt'))
    } catch (error) {
      this.#log.error('the folder of certificates cannot be read', { error, folder: this.#folder })
      return
    }
    const next = new Map<string, Loaded>()
    for (const file of names) {
      const name = file.slice(0, -'.crt'.length)
      const loaded = await this.#load(name, this.#loaded.get(name))
      if (loaded !== undefined) next.set(name, loaded)
    }
    this.#loaded = next
  }

  async #load(name: string, before: Loaded | undefined): Promise<Loaded | undefined> {
    const paths = ['crt', 'key'].map((extension) => join(this.#folder, `${name}.${extension}`))
    try {
      const stats = await Promise.all(paths.map((path) => stat(path)))
      const version = stats.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join()
      if (before?.version === version) return before
      const [cert, key] = await Promise.all(paths.map((path) => readFile(path)))
      if (cert === undefined || key === undefined) return before
      const certificate = new X509Certificate(cert)
      // While one of the two files is new and the other is not, they do not belong together.
      const context = createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
      this.#log.info('a certificate was read', { name, validTo: certificate.validTo })
      return { version, context, names: namesOf(certificate) }
    } catch (error) {
      this.#log.error('a certificate cannot be read', { error, name })
      return before
    }
  }
}
