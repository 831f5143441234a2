import { Fault } from '#src/errors.ts'
import type { Shadow, ShadowOptions } from '#src/model/shadow.ts'

/** What a PATCH of a bucket changes; a field that is absent stays as it is. */
export interface BucketPatch {
  /** Null: there is to be none. */
  readonly shadow?: ShadowOptions | null
  readonly domain?: string | null
  readonly cacheControl?: string | null
  /** Empty: all. */
  readonly regions?: string
  /** In how many of them a write has to be before it is acknowledged. */
  readonly durability?: number
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
const known = new Set(['cache_control', 'durability_regions', 'object_regions', 'shadow_bucket', 'website'])

/** The JSON of a bucket's settings, as Tigris has it. Fault `InvalidArgument`. */
export function decodeBucketPatch(body: Uint8Array): BucketPatch {
  const fields = objectOf(parsed(body), 'The body')
  for (const name of Object.keys(fields)) {
    if (!known.has(name)) throw invalid(name, `${name} cannot be changed: what can is ${[...known].join(', ')}.`)
  }
  const { shadow_bucket: shadow, website, cache_control: cacheControl } = fields
  const { object_regions: regions, durability_regions: durability } = fields
  if (regions !== undefined && typeof regions !== 'string')
    throw invalid('object_regions', 'object_regions is no text.')
  return {
    ...(shadow !== undefined && { shadow: decodeShadow(objectOf(shadow, 'shadow_bucket')) }),
    ...(website !== undefined && { domain: decodeDomain(objectOf(website, 'website')) }),
    ...(cacheControl !== undefined && { cacheControl: decodeCacheControl(cacheControl) }),
    ...(regions !== undefined && { regions }),
    ...(durability !== undefined && { durability: decodeDurability(String(durability)) }),
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

const durabilityMost = 16

function decodeDurability(text: string): number {
  if (/^[1-9]\d?$/.test(text) && Number(text) <= durabilityMost) return Number(text)
  throw invalid('durability_regions', `The number of regions is to be between 1 and ${durabilityMost}.`)
}

/** What headers ask for, as Tigris' SDKs send it, and one of our own; undefined: nothing. Fault `InvalidArgument`. */
export function patchOfHeaders(headers: Readonly<Record<string, string | undefined>>): BucketPatch | undefined {
  const { 'x-tigris-regions': regions, 'x-meridian-durability-regions': durability } = headers
  if (regions === undefined && durability === undefined) return undefined
  return {
    ...(regions !== undefined && { regions }),
    ...(durability !== undefined && { durability: decodeDurability(durability) }),
  }
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
