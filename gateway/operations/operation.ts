import type { Xml } from '#gateway/xml/render.ts'
import type { Site } from '#src/cluster/routing.ts'
import type { Guard } from '#src/model/guard.ts'
import type { Caller } from '#src/model/identity.ts'
import type { Tags } from '#src/model/version.ts'
import type { Services } from '#src/service/services.ts'
import type { Moment } from '#src/world.ts'

export type Scope = 'service' | 'bucket' | 'object'
export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'OPTIONS' | 'PATCH'

/** Which requests are this operation. `keys` are query names (`uploads`) or headers (`x-amz-copy-source`) that must be there. */
export interface Match {
  readonly method: Method
  readonly scope: Scope
  readonly keys?: readonly string[]
}

/** The body of a request, with the transport's and AWS's chunking taken off and its signatures and payload hash verified. */
export interface RequestBody {
  /** The decoded length, where the client declared it. */
  readonly length: number | undefined
  /** The bytes. Throws a Fault on a bad signature, hash or length, at the latest where it would end. At most one reader. */
  stream(): AsyncIterable<Uint8Array>
  /** The whole body, where it must be small: Fault `EntityTooLarge` (or the given code) above `bytesMax`. */
  collect(bytesMax: number): Promise<Uint8Array>
  /** As `collect`, in the pieces that it came in. */
  pieces(bytesMax: number): Promise<readonly Uint8Array[]>
  /** Trailing headers (lower-case names); complete once the body has ended. */
  trailers(): ReadonlyMap<string, string>
}

/** A POST form, as far as it stands before its file. */
export interface FormToSign {
  readonly bucket: string
  /** Lower-case names. */
  readonly fields: ReadonlyMap<string, string>
}

/** Who made a form, and what its policy allows of the file; verified. */
export interface FormAuthority {
  readonly caller: Caller
  readonly bytesMin: number
  readonly bytesMax: number
}

/** A request that was parsed and authenticated; nothing below this type knows fastify or node:http. */
export interface S3Request {
  readonly id: string
  readonly method: Method
  readonly scope: Scope
  /** Empty in scope `service`. */
  readonly bucket: string
  /** Empty but in scope `object`. Decoded once from the path; valid Unicode, at most 1,024 bytes of UTF-8. */
  readonly key: string
  /** Decoded; the first of several equal names. A name without `=` has the empty string. */
  readonly query: ReadonlyMap<string, string>
  /** Lower-case names; as Node joins them. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: RequestBody
  readonly caller: Caller
  /** Of the client's connection. */
  readonly remoteAddress: string
  readonly isSecure: boolean
  /** The region that passed it on; absent: it came from the client. */
  readonly forwardedBy?: string
  /** The host asked for, without the bucket, with the port: for Location elements. */
  readonly host: string
  /** Verifies the policy of a POST form, and that the form keeps to it. Absent where no form can come. */
  readonly authenticateForm?: (form: FormToSign) => Promise<FormAuthority>
  /** When it began: the metadata is to be no older. Absent: as of when it is read. */
  readonly since?: Moment | undefined
}

export type ResponseBody = Xml | string | Uint8Array | AsyncIterable<Uint8Array>

export interface S3Response {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** XML is rendered and gets its content type; a stream needs `content-length` among the headers. */
  readonly body?: ResponseBody
  /**
   * For answers that may take long (CompleteMultipartUpload, CopyObject): the gateway sends the status and white space until
   * this settles, then the document; a Fault then becomes an `<Error>` document under status 200, as S3 does.
   */
  readonly later?: Promise<Xml>
  /** What became of each of many objects that the request named: logs of requests tell it one by one. */
  readonly each?: readonly ObjectOutcome[]
}

export interface ObjectOutcome {
  readonly key: string
  readonly versionId?: string
  readonly status: number
  readonly errorCode?: string
}

/** Asks whether the caller may do something else than the operation's own action, e.g. read a copy's source. */
export type Authorize = (action: string, resource: Resource) => Promise<Guard>

export interface Resource {
  readonly bucket: string
  readonly key?: string
  readonly versionId?: string
  /** The object is about to be made, so what stands there has no say: the guard needs no call. */
  readonly isNew?: boolean
  /** The tags that a document asks for; those of a header are known anyway. */
  readonly requestTags?: Tags
}

/** What an operation's `run` may reach. */
export interface Context {
  readonly services: Services
  readonly caller: Caller
  /** To be shown the record of the object that is about to be read or changed, in the transaction that does it. */
  readonly guard: Guard
  readonly authorize: Authorize
  readonly request: S3Request
}

interface Definition<Input, Output> {
  /** AWS's own name of the operation. */
  readonly name: string
  readonly match: Match
  /** Which cell carries it out, where there are several; absent: as `siteOf` has it. */
  readonly site?: Site
  /**
   * The IAM action that the caller must be allowed; service calls like ListBuckets name theirs too. `each`: the request names
   * several resources, and `run` asks `authorize` for every one of them (DeleteObjects); the context's guard then refuses all.
   */
  readonly action: string | ((request: S3Request) => string)
  decode(request: S3Request): Input | Promise<Input>
  /** The tags that the body asks for, since policies may have a say in them. */
  tags?(input: Input): Tags
  run(input: Input, context: Context): Promise<Output>
  encode(output: Output, request: S3Request): S3Response
}

export type Authorized = (instead?: S3Request, requestTags?: Tags) => Promise<Context>

export interface Operation {
  readonly name: string
  readonly match: Match
  readonly site: Site
  readonly action: (request: S3Request) => string
  /** `authorized`: the context of `instead`, where the body made another request of this one, otherwise of `request`. */
  handle(request: S3Request, authorized: Authorized): Promise<S3Response>
}

/** What is done to a bucket changes the namespace, unless the operation says otherwise; what is done to an object does not. */
function siteOf({ method, scope }: Match): Site {
  if (scope === 'object' || (scope === 'bucket' && method === 'POST')) return 'cells'
  return scope === 'bucket' && method !== 'GET' && method !== 'HEAD' ? 'root' : 'anywhere'
}

/** Seals a definition so that operations of different shapes fit one table. */
export function operation<Input, Output>(definition: Definition<Input, Output>): Operation {
  const { name, match, action, site = siteOf(match) } = definition
  return {
    name,
    match,
    site,
    action: typeof action === 'string' ? () => action : action,
    async handle(request, authorized) {
      const input = await definition.decode(request)
      const context = await authorized(request, definition.tags?.(input))
      return definition.encode(await definition.run(input, context), request)
    },
  }
}
