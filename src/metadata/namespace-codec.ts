import type { Bucket } from '#src/model/bucket.ts'
import type { SealedSecret } from '#src/model/encryption.ts'
import type { AccessKey, Account } from '#src/model/identity.ts'
import type { Subscription, Topic } from '#src/model/topic.ts'
import { decodeJson, encodeJson } from './json-rows.ts'

/**
 * Rows of the namespace as bytes: a format number, then JSON. They are few, small and decoded once, so that they can be read
 * by eye matters more than their size. A new format gets a new number, and a decoder that still reads the old one.
 */
const format = 1

type BucketRow = Omit<Bucket, 'tags'> & { readonly tags?: readonly (readonly [string, string])[] }

export function encodeBucket(bucket: Bucket): Uint8Array {
  const { tags, ...rest } = bucket
  const row: BucketRow = tags === undefined ? rest : { ...rest, tags: [...tags] }
  return encode(row)
}

export function decodeBucket(bytes: Uint8Array): Bucket {
  const { tags, ...rest } = decode<BucketRow>(bytes)
  return tags === undefined ? rest : { ...rest, tags: new Map(tags) }
}

export const encodeAccount = (account: Account): Uint8Array => encode(account)
export const decodeAccount = (bytes: Uint8Array): Account => decode<Account>(bytes)

export const encodeAccessKey = (key: AccessKey): Uint8Array => encode(key)
export const decodeAccessKey = (bytes: Uint8Array): AccessKey => decode<AccessKey>(bytes)

export const encodeRow = (row: object): Uint8Array => encode(row)
export const decodeRow = <Row>(bytes: Uint8Array): Row => decode<Row>(bytes)

export const encodeText = (text: string): Uint8Array => encode(text)
export const decodeText = (bytes: Uint8Array): string => decode<string>(bytes)

export const encodeNumber = (value: number): Uint8Array => encode(value)
export const decodeNumber = (bytes: Uint8Array): number => decode<number>(bytes)

export const encodeTopic = (topic: Topic): Uint8Array => encode(topic)
export const decodeTopic = (bytes: Uint8Array): Topic => decode<Topic>(bytes)

export const encodeSubscription = (subscription: Subscription): Uint8Array => encode(subscription)
export const decodeSubscription = (bytes: Uint8Array): Subscription => decode<Subscription>(bytes)

/** What messages to endpoints are signed with. */
export interface StandingMessageKey {
  /** Of the private key. */
  readonly secret?: SealedSecret
  /** In PEM; rows of before it was sealed have it. */
  readonly privateKey?: string
  /** In PEM. */
  readonly certificate: string
}
export const encodeMessageKey = (key: StandingMessageKey): Uint8Array => encode(key)
export const decodeMessageKey = (bytes: Uint8Array): StandingMessageKey => decode<StandingMessageKey>(bytes)

const encode = (row: unknown): Uint8Array => encodeJson(format, row)
const decode = <Row>(bytes: Uint8Array): Row => decodeJson<Row>(format, bytes)
