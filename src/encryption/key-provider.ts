/**
 * The key of those who name none; AWS makes it when it is first asked for.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
 */
export const defaultManagedKey = 'aws/s3'

/** A data key, and the same as it may be kept. */
export interface DataKey {
  /** 32 bytes. */
  readonly plain: Uint8Array
  readonly wrapped: Uint8Array
}

/**
 * Who keeps the keys that data keys are wrapped with: the local file (local-keys.ts), or a key management service. What it is
 * asked for it must answer with the very same bytes for ever, or not at all; it is asked once for a write and once for a read,
 * never within a transaction.
 *
 * `context` is authenticated with the key: `unwrap` with another context, another key or other bytes rejects.
 * Faults: `KMS.NotFoundException` where there is no such key, `KMS.DisabledException`, `ServiceUnavailable` where the service
 * cannot be reached. Anything else is a bug.
 */
export interface KeyProvider {
  /** A new random data key under the key named. */
  generate(keyId: string, context: Uint8Array): Promise<DataKey>
  unwrap(keyId: string, wrapped: Uint8Array, context: Uint8Array): Promise<Uint8Array>
}

/** What a store encrypts with. */
export interface Keys {
  /** For SSE-S3: the store's own keys. `current` names the one for new objects. */
  readonly own: KeyProvider & { current(): string }
  /** For SSE-KMS. */
  readonly managed: KeyProvider
}
