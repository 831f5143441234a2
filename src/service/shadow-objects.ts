import type { SourceObject } from '#src/cloud/endpoint.ts'
import { Fault } from '#src/errors.ts'
import { isKnown } from '#src/metadata/object-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Conditions } from '#src/model/conditions.ts'
import type { Guard } from '#src/model/guard.ts'
import type { ObjectName } from '#src/model/names.ts'
import type { Shadow } from '#src/model/shadow.ts'
import type { Foundation } from './foundation.ts'
import { checkReadConditions, select } from './object-reads.ts'
import type { FindObject, Objects, Read, Wanted } from './services.ts'
import { ShadowFailed, type ShadowImports, streamedBytesMin, virtualVersion } from './shadow-imports.ts'

type ReadRequest = Parameters<Objects['get']>[0]

/** A key of a bucket with a shadow that nothing here tells of. */
interface Unknown {
  readonly bucket: Bucket
  readonly shadow: Shadow
  readonly key: string
}

/** Who may not know whether an object is there is not told before it is known. */
class Deferral {
  bucket: Bucket | undefined

  guard(inner: Guard): Guard {
    return (version, bucket) => {
      if (version !== undefined || bucket.shadow === undefined) return inner(version, bucket)
      this.bucket = bucket
    }
  }
}

/** For what has to see what was done since. */
const anew = <Request extends { readonly since?: unknown }>(request: Request): Request => ({
  ...request,
  since: undefined,
})

const isMissing = (error: unknown): error is Fault => error instanceof Fault && error.code === 'NoSuchKey'
const hasConditions = (conditions: Conditions): boolean => Object.keys(conditions).length > 0

/**
 * The objects of all buckets, and of those that have a shadow, what it has besides (C21).
 *
 * V4  only what has neither record nor tombstone here asks the shadow, on behalf of who may read it. Where that cannot be asked,
 *     the answer is ServiceUnavailable, and never NoSuchKey.
 */
export class ShadowObjects implements Objects {
  readonly #inner: Objects
  readonly #foundation: Foundation
  readonly #imports: ShadowImports

  constructor(inner: Objects, foundation: Foundation, imports: ShadowImports) {
    this.#inner = inner
    this.#foundation = foundation
    this.#imports = imports
  }

  async get(request: ReadRequest): Promise<Read> {
    return await this.#reading(
      request,
      (each) => this.#inner.get(each),
      (unknown) => this.#getThere(request, unknown),
    )
  }

  async head(request: ReadRequest): Promise<Read> {
    return await this.#reading(
      request,
      (each) => this.#inner.head(each),
      (unknown) => this.#headThere(request, unknown),
    )
  }

  async find(request: FindObject): ReturnType<Objects['find']> {
    return await this.brought(request, (each) => this.#inner.find(each))
  }

  async parts(request: Parameters<Objects['parts']>[0]): ReturnType<Objects['parts']> {
    return await this.brought(request, (each) => this.#inner.parts(each))
  }

  async restore(request: Parameters<Objects['restore']>[0]): ReturnType<Objects['restore']> {
    return await this.brought(request, (each) => this.#inner.restore(each))
  }

  async update(request: Parameters<Objects['update']>[0]): ReturnType<Objects['update']> {
    return await this.brought(request, (each) => this.#inner.update(each))
  }

  async put(request: Parameters<Objects['put']>[0]): ReturnType<Objects['put']> {
    if (!hasConditions(request.conditions)) return await this.#inner.put(request)
    await this.bring(request.name)
    return await this.#inner.put(anew(request))
  }

  async append(request: Parameters<Objects['append']>[0]): ReturnType<Objects['append']> {
    await this.bring(request.name)
    return await this.#inner.append(request)
  }

  async delete(request: Parameters<Objects['delete']>[0]): ReturnType<Objects['delete']> {
    if (!hasConditions(request.conditions)) return await this.#inner.delete(request)
    await this.bring(request.name)
    return await this.#inner.delete(anew(request))
  }

  async copy(request: Parameters<Objects['copy']>[0]): ReturnType<Objects['copy']> {
    if (hasConditions(request.conditions)) await this.bring(request.name)
    return await this.brought(request.source, (source) => this.#inner.copy({ ...request, source }))
  }

  async rename(request: Parameters<Objects['rename']>[0]): ReturnType<Objects['rename']> {
    if (hasConditions(request.conditions)) await this.bring(request.target)
    const source = { name: request.source, guard: request.sourceGuard }
    return await this.brought(source, ({ guard }) => this.#inner.rename({ ...request, sourceGuard: guard }))
  }

  /** Waits until what a key is can be told by what is here alone. For writes whose conditions ask what stands. */
  async bring({ bucket: name, key }: ObjectName): Promise<void> {
    const { store, namespace } = this.#foundation
    const unknown = await store.snapshot(async (snapshot) => {
      const bucket = await namespace.bucket(snapshot, name)
      if (bucket?.shadow === undefined || (await isKnown(snapshot, { bucket: bucket.id, key }))) return undefined
      return { bucket, shadow: bucket.shadow, key }
    })
    if (unknown !== undefined) await this.#imports.begin(unknown).landed
  }

  /** Runs what needs an object to be here: it is brought from the shadow first, where it is there only. */
  async brought<Request extends FindObject, Done>(
    request: Request,
    run: (request: Request) => Promise<Done>,
  ): Promise<Done> {
    return await this.#reading(request, run, async (unknown) => {
      const outcome = await this.#imports.begin(unknown).landed
      return outcome === 'missing' ? undefined : await run(anew(request))
    })
  }

  /** What is here, or what `ask` makes of it if nothing is known of it here; undefined: the shadow has it neither. */
  async #reading<Request extends FindObject, Done>(
    request: Request,
    run: (request: Request) => Promise<Done>,
    ask: (unknown: Unknown) => Promise<Done | undefined>,
  ): Promise<Done> {
    const deferral = new Deferral()
    try {
      return await run({ ...request, guard: deferral.guard(request.guard) })
    } catch (error) {
      const { bucket } = deferral
      if (bucket?.shadow === undefined || !isMissing(error)) throw error
      if (request.versionId === undefined) {
        const unknown = { bucket, shadow: bucket.shadow, key: request.name.key }
        // Somebody brought, wrote or deleted it in between.
        if (!(await this.#isUnknown(unknown))) return await run(anew(request))
        request.guard(blank(bucket), bucket)
        const done = await ask(unknown)
        if (done !== undefined) return done
      }
      request.guard(undefined, bucket)
      throw error
    }
  }

  async #isUnknown({ bucket, key }: Unknown): Promise<boolean> {
    return !(await this.#foundation.store.snapshot((snapshot) => isKnown(snapshot, { bucket: bucket.id, key })))
  }

  async #headThere(request: ReadRequest, unknown: Unknown): Promise<Read | undefined> {
    const object = await this.#asking(async () =>
      (await this.#imports.source(unknown)).head(unknown.key, this.#imports.signal),
    )
    if (object === undefined) return undefined
    const { from, to } = await this.#selected(request, unknown, object)
    return { ...there(unknown, object), from, to, bytes: new Uint8Array(0) }
  }

  async #getThere(request: ReadRequest, unknown: Unknown): Promise<Read | undefined> {
    const { wanted } = request
    const flight = this.#imports.begin(unknown, wanted === undefined)
    const object = await flight.found
    if (object === undefined) return undefined
    if (flight.bytes !== undefined) return await this.#passing(request, unknown, object, flight.bytes)
    if (wanted !== undefined && wanted.kind !== 'part' && object.size >= streamedBytesMin) {
      return await this.#ranged(request, unknown, object)
    }
    await flight.landed
    return await this.#inner.get(anew(request))
  }

  /** All of a large object, as it comes. */
  async #passing(
    request: ReadRequest,
    unknown: Unknown,
    object: SourceObject,
    bytes: AsyncIterableIterator<Uint8Array>,
  ): Promise<Read> {
    try {
      const { from, to } = await this.#selected(request, unknown, object)
      return { ...there(unknown, object), from, to, bytes }
    } catch (error) {
      await bytes.return?.()
      throw error
    }
  }

  /** A piece of a large object is asked for by itself, while all of it comes. */
  async #ranged(request: ReadRequest, unknown: Unknown, object: SourceObject): Promise<Read> {
    const { from, to } = await this.#selected(request, unknown, object)
    const { etag } = object
    const bytes = await this.#asking(async () =>
      (await this.#imports.source(unknown)).range(unknown.key, { from, to, etag }, this.#imports.signal),
    )
    return { ...there(unknown, object), from, to, bytes }
  }

  async #selected({ conditions, wanted }: ReadRequest, { bucket }: Unknown, object: SourceObject) {
    const version = virtualVersion(bucket, object)
    checkReadConditions(conditions, version)
    return await select(version, wanted as Wanted | undefined, async () => [])
  }

  async #asking<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask()
    } catch (error) {
      throw new ShadowFailed(error)
    }
  }
}

const there = ({ bucket }: Unknown, object: SourceObject) => ({
  version: virtualVersion(bucket, object),
  versionId: undefined,
  isElsewhere: true as const,
})

/** All that permissions can ask of an object that nobody has seen: whose it will be. */
const blank = (bucket: Bucket) =>
  virtualVersion(bucket, { size: 0, etag: '', modified: 0, headers: {}, metadata: new Map() })
