import { Fault } from '#src/errors.ts'
import { isHostName } from './content-host.ts'
import type { SealedSecret } from './encryption.ts'

/** A bucket in another store that this one is filled from. */
export interface ShadowBucket {
  readonly accessKey: string
  readonly endpoint: string
  readonly name: string
  readonly region: string
  readonly writesThrough: boolean
}

/** What whoever provisions a bucket may choose. */
export interface BucketOptions {
  /** Whether everybody may read its objects. */
  readonly isPublic: boolean
  /** Whether objects are copied everywhere as they are written. */
  readonly isAccelerated: boolean
  /** A host name of its own; absent: none. */
  readonly domain?: string
  readonly shadow?: ShadowBucket
}

/** A bucket that was made with a key of its own, for somebody else's programs. */
export interface Provisioned {
  readonly id: string
  /** Of whoever asked for it, such as Fly. */
  readonly externalId?: string
  readonly organization: string
  /** Name and number of the bucket: one of the same name made later is another. */
  readonly bucket: string
  readonly bucketId: number
  /** The IAM user whose key it is, in lower case, and the key. */
  readonly user: string
  readonly accessKeyId: string
  readonly options: BucketOptions
  readonly shadowSecret?: SealedSecret
  /** Milliseconds since the epoch. */
  readonly created: number
  readonly updated: number
  /** What a repeated request is told from: a digest of what was asked. */
  readonly asked: string
}

/** A secret that is not changed, as it is shown. */
export const hiddenSecret = '********'

/** What is asked for, by the names that Fly's programs use. Whatever else there is, is not ours. */
export interface AskedOptions {
  readonly isPublic?: boolean
  readonly isAccelerated?: boolean
  /** Empty: none from now on. */
  readonly domain?: string
  /** `undefined` under the key: none from now on. */
  readonly shadow?: (ShadowBucket & { readonly secretKey: string }) | undefined
}

type Fields = Readonly<Record<string, unknown>>

const invalid = (message: string): Fault => new Fault('InvalidArgument', { message })

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function flag(fields: Fields, name: string): boolean | undefined {
  const value = fields[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'boolean') return value
  throw invalid(`The option ${name} is true or false.`)
}

function domainOf(fields: Fields): string | undefined {
  const { website } = fields
  if (website === undefined || website === null) return undefined
  if (!isFields(website)) throw invalid('The option website is an object.')
  const name = website['domain_name']
  if (name === undefined || name === null || name === '') return ''
  const folded = typeof name === 'string' ? name.toLowerCase().replace(/\.$/, '') : ''
  if (isHostName(folded)) return folded
  throw invalid('The option website.domain_name is a host name, such as assets.example.com.')
}

function word(fields: Fields, name: string, form: RegExp, what: string): string {
  const value = fields[name]
  if (typeof value === 'string' && form.test(value)) return value
  throw invalid(`The option shadow_bucket.${name} is ${what}.`)
}

function shadowOf(fields: Fields): AskedOptions['shadow'] | 'as it is' {
  const shadow = fields['shadow_bucket']
  if (shadow === undefined || shadow === null) return 'as it is'
  if (!isFields(shadow)) throw invalid('The option shadow_bucket is an object.')
  // So a client says that there is none any more.
  if (Object.keys(shadow).length === 0) return undefined
  const words = '1 to 256 printable characters without spaces'
  return {
    accessKey: word(shadow, 'access_key', /^[\x21-\x7e]{1,256}$/, words),
    secretKey: word(shadow, 'secret_key', /^[\x21-\x7e]{1,256}$/, words),
    endpoint: word(shadow, 'endpoint', /^https?:\/\/[^\s/?#@]{1,253}\/?$/, 'an origin, such as https://s3.example.com'),
    name: word(shadow, 'name', /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, 'the name of a bucket'),
    region: word(shadow, 'region', /^[A-Za-z0-9-]{1,64}$/, 'the code of a region'),
    writesThrough: flag(shadow, 'write_through') ?? false,
  }
}

/** Fault `InvalidArgument` that names the option. A secret that is `hiddenSecret` is not changed. */
export function parseOptions(given: unknown): AskedOptions {
  if (given === undefined || given === null) return {}
  if (!isFields(given)) throw invalid('Options are an object.')
  const isPublic = flag(given, 'public') ?? flag(given, 'Public')
  const isAccelerated = flag(given, 'accelerate') ?? flag(given, 'Accelerate')
  const domain = domainOf(given)
  const shadow = shadowOf(given)
  return {
    ...(isPublic !== undefined && { isPublic }),
    ...(isAccelerated !== undefined && { isAccelerated }),
    ...(domain !== undefined && { domain }),
    ...(shadow !== 'as it is' && { shadow }),
  }
}

/** The options by the names that Fly's programs use; secrets are hidden. */
export function writeOptions({ isPublic, isAccelerated, domain = '', shadow }: BucketOptions): Fields {
  return {
    public: isPublic,
    accelerate: isAccelerated,
    website: { domain_name: domain },
    ...(shadow !== undefined && {
      shadow_bucket: {
        access_key: shadow.accessKey,
        secret_key: hiddenSecret,
        endpoint: shadow.endpoint,
        name: shadow.name,
        region: shadow.region,
        write_through: shadow.writesThrough,
      },
    }),
  }
}

/** What is now chosen, where that was chosen before. */
export function changedOptions(before: BucketOptions, asked: AskedOptions): BucketOptions {
  const { isPublic = before.isPublic, isAccelerated = before.isAccelerated } = asked
  const domain = asked.domain ?? before.domain ?? ''
  const shadow = 'shadow' in asked ? withoutSecret(asked.shadow) : before.shadow
  return { isPublic, isAccelerated, ...(domain !== '' && { domain }), ...(shadow !== undefined && { shadow }) }
}

function withoutSecret(shadow: AskedOptions['shadow']): ShadowBucket | undefined {
  if (shadow === undefined) return undefined
  const { secretKey: _secretKey, ...rest } = shadow
  return rest
}

const publicSid = 'MeridianPublicBucket'

/** What a key that was made with a bucket may do: all with its objects, and most with the bucket, which stays what it is. */
export const keyPolicy = (bucket: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 's3:*', Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`] },
      { Effect: 'Deny', Action: ['s3:CreateBucket', 's3:DeleteBucket', ...exposing], Resource: '*' },
    ],
  })

/** By these a bucket is opened to others: whoever provisioned it says whether it is. */
const exposing = [
  's3:PutBucketAcl',
  's3:PutBucketOwnershipControls',
  's3:PutBucketPolicy',
  's3:DeleteBucketPolicy',
  's3:PutBucketPublicAccessBlock',
  's3:PutReplicationConfiguration',
]

/** A bucket's policy with, or without, what lets everybody read its objects; undefined: none. */
export function publicPolicy(bucket: string, policy: string | undefined, isPublic: boolean): string | undefined {
  const document: unknown = policy === undefined ? {} : JSON.parse(policy)
  const { Statement: standing = [], ...rest } = isFields(document) ? document : {}
  const statements: readonly unknown[] = Array.isArray(standing) ? standing : [standing]
  const others = statements.filter((each) => !(isFields(each) && each['Sid'] === publicSid))
  const opening = {
    Sid: publicSid,
    Effect: 'Allow',
    Principal: '*',
    Action: 's3:GetObject',
    Resource: `arn:aws:s3:::${bucket}/*`,
  }
  const all = isPublic ? [...others, opening] : others
  return all.length === 0 ? undefined : JSON.stringify({ Version: '2012-10-17', ...rest, Statement: all })
}
