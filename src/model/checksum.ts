/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html */
export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256'

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm
  /** COMPOSITE: of the parts' checksums, with `-N` behind the value. */
  readonly type: 'FULL_OBJECT' | 'COMPOSITE'
  /** Base64, as on the wire. */
  readonly value: string
}

/** What a client says its body is; the service compares while it reads. */
export interface ExpectedDigests {
  /** Base64, from Content-MD5. */
  readonly md5?: string
  /** `value` is asked for once the body has ended, because it may come as a trailer; undefined = compute and store only. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: () => string | undefined }
}
