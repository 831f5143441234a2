import type { Bucket } from './bucket.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html */
const setting = 'requestPayment'
const payers = ['BucketOwner', 'Requester'] as const
type Payer = (typeof payers)[number]

export const parsePayer = (text: string): Payer | undefined => payers.find((each) => each === text)

export const payerOf = ({ documents }: Bucket): Payer =>
  documents[setting] === 'Requester' ? 'Requester' : 'BucketOwner'

export const withPayer = (bucket: Bucket, payer: Payer): Bucket => ({
  ...bucket,
  documents: { ...bucket.documents, [setting]: payer },
})
