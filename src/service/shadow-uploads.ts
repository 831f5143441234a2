import type { ObjectName } from '#src/model/names.ts'
import type { FindObject, Uploads } from './services.ts'

/** Objects that may be in a shadow only. */
interface ShadowedObjects {
  bring(name: ObjectName): Promise<void>
  brought<Request extends FindObject, Done>(request: Request, run: (request: Request) => Promise<Done>): Promise<Done>
}

/** Uploads as they are, where what they refer to may be in a bucket's shadow only. */
export class ShadowUploads implements Uploads {
  readonly #inner: Uploads
  readonly #objects: ShadowedObjects

  constructor(inner: Uploads, objects: ShadowedObjects) {
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
    return await this.#objects.brought(request.source, (source) => this.#inner.copyPart({ ...request, source }))
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
