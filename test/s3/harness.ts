import { randomBytes } from 'node:crypto'
import { after } from 'node:test'
import { S3Client, type S3ServiceException } from '@aws-sdk/client-s3'
import { openHarness } from './store.ts'

export interface StartedGateway {
  readonly clients: { readonly main: S3Client; readonly other: S3Client; readonly anonymous: S3Client }
  readonly ids: { readonly main: string; readonly other: string }
}

/** A whole node for all the tests of a file, closed after them. */
export async function startGateway(): Promise<StartedGateway> {
  const harness = await openHarness()
  const anonymous = new S3Client({
    endpoint: harness.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: '', secretAccessKey: '' },
    signer: { sign: async (request) => request },
    maxAttempts: 1,
  })
  after(async () => {
    anonymous.destroy()
    await harness.close()
  })
  const { client: main, otherClient: other, ids } = harness
  return { clients: { main, other, anonymous }, ids: { main: ids.alice, other: ids.bob } }
}

export const newBucketName = (): string => `bucket-${randomBytes(6).toString('hex')}`

/** Whether a request was refused just so. */
export const answered =
  (name: string, status: number) =>
  (error: unknown): boolean => {
    const refused = error as S3ServiceException
    return refused.name === name && refused.$metadata.httpStatusCode === status
  }
