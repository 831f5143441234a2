import type { ObjectName } from '#src/model/names.ts'
import type { Objects, Uploads } from './services.ts'

/** Uploads as they are, where what they refer to may be in a bucket's shadow only. */
export class ShadowUploads implements Uploads {
  readonly #inner: Uploads
  readonly #objects: Pick<Objects, 'find'> & { bring(name: ObjectName): Promise<void> }

  constructor(inner: Uploads, objects: Pick<Objects, 'find'> & { bring(name: ObjectName): Promise<void> }) {
    this.#inner = inner
    this.#objects = objects
  }

  async create(request: Parameters<Uploads['create']>[0]): ReturnType<Uploads['create']> {
    return await this.#inner.create(request)
  }

  async get(request: Parameters<Uploads['get']>[0]): ReturnType<Uploads['get']> {
    return await this.#inner.get(request)
  }

  async putPart(request: Parameters<Uploads['putPart']>[0]): ReturnType<Uploads['putPart']> {
    return await this.#inner.putPart(request)
  }

  async copyPart(request: Parameters<Uploads['copyPart']>[0]): ReturnType<Uploads['copyPart']> {
    // Brings it where it has to be brought, and refuses as the copy would.
    await this.#objects.find(request.source)
    return await this.#inner.copyPart(request)
  }

  async complete(request: Parameters<Uploads['complete']>[0]): ReturnType<Uploads['complete']> {
    if (Object.keys(request.conditions).length > 0) await this.#objects.bring(request.name)
    return await this.#inner.complete(request)
  }

  async abort(request: Parameters<Uploads['abort']>[0]): ReturnType<Uploads['abort']> {
    await this.#inner.abort(request)
  }

  async listParts(request: Parameters<Uploads['listParts']>[0]): ReturnType<Uploads['listParts']> {
    return await this.#inner.listParts(request)
  }
}
