import { Fault } from '#src/errors.ts'
import type { Shadow, ShadowOptions } from '#src/model/shadow.ts'

/** What a PATCH of a bucket changes; a field that is absent stays as it is. */
export interface BucketPatch {
  /** Null: there is to be none. */
  readonly shadow?: ShadowOptions | null
  readonly domain?: string | null
  readonly cacheControl?: string | null
}

type Fields = Readonly<Record<string, unknown>>

const invalid = (field: string, message: string): Fault =>
  new Fault('InvalidArgument', { message, ArgumentName: field })

function objectOf(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(field, `${field} is no object.`)
  return value as Fields
}

function textOf(fields: Fields, name: string, field: string): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw invalid(`${field}.${name}`, `${field}.${name} is missing.`)
  return value
}

/** Fields that others read out, and that cannot be changed like this: a client may send back what it was told. */
const known = new Set(['shadow_bucket', 'website', 'cache_control'])

/** The JSON of a bucket's settings, as Tigris has it. Fault `InvalidArgument`. */
export function decodeBucketPatch(body: Uint8Array): BucketPatch {
  const fields = objectOf(parsed(body), 'The body')
  for (const name of Object.keys(fields)) {
    if (!known.has(name)) throw invalid(name, `${name} cannot be changed: what can is ${[...known].join(', ')}.`)
  }
  const { shadow_bucket: shadow, website, cache_control: cacheControl } = fields
  return {
    ...(shadow !== undefined && { shadow: decodeShadow(objectOf(shadow, 'shadow_bucket')) }),
    ...(website !== undefined && { domain: decodeDomain(objectOf(website, 'website')) }),
    ...(cacheControl !== undefined && { cacheControl: decodeCacheControl(cacheControl) }),
  }
}

function decodeDomain({ domain_name: name = '' }: Fields): string | null {
  if (typeof name !== 'string') throw invalid('website.domain_name', 'website.domain_name is a host name.')
  return name === '' ? null : name
}

function decodeCacheControl(value: unknown): string | null {
  if (typeof value !== 'string' || !/^[\x20-\x7e]{0,256}$/.test(value)) {
    throw invalid('cache_control', 'cache_control is what the header is to say.')
  }
  return value === '' ? null : value
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    throw invalid('body', 'The body is not JSON.')
  }
}

/** Without any field: none. */
function decodeShadow(fields: Fields): ShadowOptions | null {
  if (Object.keys(fields).length === 0) return null
  const writeThrough = fields['write_through'] ?? false
  if (typeof writeThrough !== 'boolean') throw invalid('shadow_bucket.write_through', 'write_through is true or false.')
  const of = (name: string): string => textOf(fields, name, 'shadow_bucket')
  return {
    accessKey: of('access_key'),
    secretKey: of('secret_key'),
    region: of('region'),
    name: of('name'),
    endpoint: of('endpoint'),
    writeThrough,
  }
}

/** As it is told: without its secret. */
export const encodeShadow = ({ accessKey, region, name, endpoint, writeThrough }: Shadow) => ({
  access_key: accessKey,
  secret_key: '',
  region,
  name,
  endpoint,
  write_through: writeThrough,
})
