/** How a bucket's or a request's words ask for encryption, and what a record says of it. */

/** What a write is to be encrypted with. */
export type EncryptionWish =
  | { readonly kind: 'SSE-S3' }
  | {
      readonly kind: 'SSE-KMS'
      /** Undefined: the key that AWS calls `aws/s3`. */
      readonly keyId?: string
      /** JSON as the client sent it, in base64; bound to the data key. */
      readonly context?: string
      readonly hasBucketKey: boolean
    }
  | { readonly kind: 'SSE-C'; readonly key: Uint8Array }

/** Whose key wraps the data key. */
export type EncryptionScheme =
  | { readonly kind: 'SSE-S3'; readonly keyId: string }
  | { readonly kind: 'SSE-KMS'; readonly keyId: string; readonly context?: string; readonly hasBucketKey: boolean }
  /** A customer's key is neither kept nor named: whether a key is the right one shows when it unwraps the data key. */
  | { readonly kind: 'SSE-C' }

/** A data key as it may be kept: 32 random bytes, wrapped. In hexadecimal. */
export type WrappedKey = EncryptionScheme & { readonly wrapped: string }

/** What an encrypted version says of itself. */
export type Encryption = WrappedKey & {
  /** A keyed digest over which version this is and what it consists of: shows records and contents that were exchanged. */
  readonly seal: string
}

/** What is done with an object for which its writer asks nothing. */
export interface BucketEncryption {
  readonly algorithm: 'AES256' | 'aws:kms'
  readonly keyId?: string
  readonly hasBucketKey?: boolean
  /** Whether writes with customers' keys are refused. */
  readonly blocksCustomerKeys?: boolean
}

/** A short secret of the store's own, as it may lie in the metadata; the bytes in base64. */
export interface SealedSecret {
  /** Of the store's own keys. */
  readonly keyId: string
  readonly wrapped: string
  /** Nonce, AES-256-GCM's bytes, tag. */
  readonly sealed: string
}
