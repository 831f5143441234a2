import { Fault } from '#src/errors.ts'

/** x-amz-server-side-encryption, -aws-kms-key-id, -context, -bucket-key-enabled, -customer-* and the copy source's. */
const prefixes = ['x-amz-server-side-encryption', 'x-amz-copy-source-server-side-encryption'] as const

/** What a client believes to be encrypted must not lie in the clear: until we encrypt, such a request is refused. */
export function refuseEncryption(headers: Readonly<Record<string, string | undefined>>): void {
  for (const name in headers) {
    if (prefixes.some((prefix) => name.startsWith(prefix))) {
      throw new Fault('NotImplemented', {
        message: 'A header you provided implies functionality that is not implemented.',
        Header: name,
      })
    }
  }
}
