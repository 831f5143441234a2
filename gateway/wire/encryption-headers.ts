import { hash } from 'node:crypto'
import { Fault } from '#src/errors.ts'
import type { BucketEncryption, EncryptionWish } from '#src/model/encryption.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html */
const prefix = 'x-amz-server-side-encryption'
const names = {
  scheme: prefix,
  keyId: `${prefix}-aws-kms-key-id`,
  context: `${prefix}-context`,
  bucketKey: `${prefix}-bucket-key-enabled`,
} as const

/** The three headers of a customer's key (SSE-C). https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html */
const customer = {
  own: 'x-amz-server-side-encryption-customer',
  source: 'x-amz-copy-source-server-side-encryption-customer',
} as const

type Headers = Readonly<Record<string, string | undefined>>

/** A record of a version (16 kB) holds it, and much else. */
const contextBytesMax = 4_096
const keyDigits = /^[A-Za-z0-9+/]{43}=$/

function invalid(message: string, name: string, value: string | undefined): Fault {
  return new Fault('InvalidArgument', {
    message,
    ArgumentName: name,
    ...(value !== undefined && { ArgumentValue: value }),
  })
}

const usual = 'Requests specifying Server Side Encryption with Customer provided keys must provide'

/** The customer's key of a request, or of the source of a copy. */
export function decodeCustomerKey(headers: Headers, of: keyof typeof customer = 'own'): Uint8Array | undefined {
  const [algorithmName, keyName, digestName] = customerNames(of)
  const [algorithm, key, digest] = [headers[algorithmName], headers[keyName], headers[digestName]]
  if (algorithm === undefined && key === undefined && digest === undefined) return undefined
  if (algorithm === undefined) throw invalid(`${usual} a valid encryption algorithm.`, algorithmName, undefined)
  if (algorithm !== 'AES256') throw new Fault('InvalidEncryptionAlgorithmError', { ArgumentName: algorithmName })
  // The key itself is never shown, not even to whom it came from: answers are logged.
  if (key === undefined) throw invalid(`${usual} an appropriate secret key.`, keyName, undefined)
  if (digest === undefined)
    throw invalid(`${usual} the client calculated MD5 of the secret key.`, digestName, undefined)
  if (!keyDigits.test(key)) {
    throw invalid('The secret key was invalid for the specified algorithm.', keyName, undefined)
  }
  const bytes = Buffer.from(key, 'base64')
  if (hash('md5', bytes, 'base64') !== digest) {
    throw invalid('The calculated MD5 hash of the key did not match the hash that was provided.', digestName, digest)
  }
  return bytes
}

const customerNames = (of: keyof typeof customer) =>
  [`${customer[of]}-algorithm`, `${customer[of]}-key`, `${customer[of]}-key-md5`] as const

/** Whether a request carries a customer's key: such a one should not go through the clear. */
export const hasCustomerKey = (headers: Headers): boolean =>
  headers[customerNames('own')[1]] !== undefined || headers[customerNames('source')[1]] !== undefined

/** The customer's key of a read; what a write may ask for has no place in one. */
export function decodeReadKey(headers: Headers): Uint8Array | undefined {
  for (const name of Object.values(names)) {
    if (headers[name] !== undefined)
      throw invalid(`${name} header is not supported for this operation.`, name, headers[name])
  }
  return decodeCustomerKey(headers)
}

/** Whether a write says how its object is to be encrypted. */
export const asksEncryption = (headers: Headers): boolean =>
  headers[names.scheme] !== undefined || headers[customerNames('own')[0]] !== undefined

/** What a write asks for, or its bucket for it. */
export function decodeEncryption(headers: Headers, fallback: BucketEncryption | undefined): EncryptionWish | undefined {
  const scheme = headers[names.scheme]
  const keyId = headers[names.keyId]
  const context = headers[names.context]
  const customerKey = decodeCustomerKey(headers)
  if (customerKey !== undefined) {
    if (scheme !== undefined || keyId !== undefined) {
      const message =
        'Server Side Encryption with Customer provided key is incompatible with the encryption method specified'
      throw invalid(message, names.scheme, scheme)
    }
    return { kind: 'SSE-C', key: customerKey }
  }
  if (scheme !== 'aws:kms') {
    refuseManaged(names.keyId, keyId)
    refuseManaged(names.context, context)
  }
  const hasBucketKey = bucketKey(headers[names.bucketKey])
  switch (scheme) {
    case undefined:
      return wishOfBucket(fallback, hasBucketKey)
    case 'AES256':
      return { kind: 'SSE-S3' }
    case 'aws:kms':
      if (context !== undefined) checkContext(context)
      return {
        kind: 'SSE-KMS',
        ...withKey(keyId, fallback),
        ...(context !== undefined && { context }),
        hasBucketKey: hasBucketKey ?? fallback?.hasBucketKey ?? false,
      }
    case 'aws:kms:dsse':
      throw new Fault('NotImplemented', { message: 'Dual-layer encryption is not implemented.', Header: names.scheme })
    default:
      throw invalid('The encryption method specified is not supported', names.scheme, scheme)
  }
}

function refuseManaged(name: string, value: string | undefined): void {
  if (value !== undefined) throw invalid(`${name} needs ${names.scheme}: aws:kms`, name, value)
}

/** A key that is not named is the bucket's, where that has one. */
function withKey(keyId: string | undefined, fallback: BucketEncryption | undefined): { readonly keyId?: string } {
  if (keyId === '') throw invalid('The key id is empty', names.keyId, keyId)
  const found = keyId ?? (fallback?.algorithm === 'aws:kms' ? fallback.keyId : undefined)
  return found === undefined ? {} : { keyId: found }
}

function wishOfBucket(
  fallback: BucketEncryption | undefined,
  hasBucketKey: boolean | undefined,
): EncryptionWish | undefined {
  if (fallback?.algorithm === undefined) return undefined
  if (fallback.algorithm === 'AES256') return { kind: 'SSE-S3' }
  return {
    kind: 'SSE-KMS',
    ...withKey(undefined, fallback),
    hasBucketKey: hasBucketKey ?? fallback.hasBucketKey ?? false,
  }
}

function bucketKey(text: string | undefined): boolean | undefined {
  const value = text?.toLowerCase()
  if (value === undefined || value === 'true' || value === 'false') return value && value === 'true'
  throw invalid('The bucket key setting is true or false', names.bucketKey, text)
}

/** Base64 of a JSON object whose values are texts. */
function checkContext(text: string): void {
  let context: unknown
  try {
    context = JSON.parse(Buffer.from(text, 'base64').toString('utf8'))
  } catch {
    context = undefined
  }
  const isObject = typeof context === 'object' && context !== null && !Array.isArray(context)
  const isGood = isObject && Object.values(context as object).every((each) => typeof each === 'string')
  if (isGood && text.length <= contextBytesMax) return
  throw invalid('The encryption context is not base64 of a JSON object of texts, or too long', names.context, text)
}

/** What is told of an encryption: a record's, or one that is about to be. */
type Told =
  | { readonly kind: 'SSE-S3' }
  | { readonly kind: 'SSE-KMS'; readonly keyId?: string; readonly hasBucketKey: boolean }
  | { readonly kind: 'SSE-C' }

/** `sent`: the request's headers, which name the customer's key where there is one. */
export function encodeEncryption(told: Told | undefined, sent: Headers, to: Record<string, string>): void {
  if (told === undefined) return
  if (told.kind === 'SSE-C') {
    const [algorithm, , digest] = customerNames('own')
    to[algorithm] = 'AES256'
    const given = sent[digest]
    if (given !== undefined) to[digest] = given
    return
  }
  to[names.scheme] = told.kind === 'SSE-S3' ? 'AES256' : 'aws:kms'
  if (told.kind === 'SSE-S3') return
  if (told.keyId !== undefined) to[names.keyId] = told.keyId
  if (told.hasBucketKey) to[names.bucketKey] = 'true'
}
