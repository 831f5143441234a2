import { faultOf } from '#gateway/errors.ts'
import { Fault, type FaultCode } from '#src/errors.ts'
import { Refusal } from './exchange.ts'

type Said = readonly [status: number, code: string]

const said: Partial<Record<FaultCode, Said>> = {
  AccessDenied: [403, 'forbidden'],
  BucketAlreadyExists: [409, 'name_taken'],
  BucketAlreadyOwnedByYou: [409, 'name_taken'],
  BucketNotEmpty: [409, 'not_empty'],
  DeleteConflict: [409, 'conflict'],
  EntityAlreadyExists: [409, 'already_exists'],
  InvalidArgument: [422, 'invalid'],
  InvalidBucketName: [422, 'invalid_name'],
  LimitExceeded: [422, 'limit_exceeded'],
  MalformedPolicy: [422, 'invalid'],
  NoSuchBucket: [404, 'not_found'],
  NoSuchEntity: [404, 'not_found'],
  OperationAborted: [503, 'try_again'],
  ServiceUnavailable: [503, 'try_again'],
  SlowDown: [429, 'too_many'],
  TooManyBuckets: [422, 'limit_exceeded'],
}

function sentence({ code, details, message }: Fault): string {
  const name = String(details['BucketName'] ?? '')
  switch (code) {
    case 'BucketAlreadyExists':
    case 'BucketAlreadyOwnedByYou':
      // Programs of Fly's look for these words, and try another name.
      return `The bucket name ${name} is unavailable for creation: choose another one.`
    case 'BucketNotEmpty':
      return `The bucket ${name} is not empty: delete its objects first, such as by \`aws s3 rm --recursive s3://${name}\`, then destroy it.`
    case 'InvalidBucketName':
      return `${JSON.stringify(name)} is no name of a bucket: it has 3 to 63 characters of a-z, 0-9, hyphens and dots.`
    case 'NoSuchBucket':
      return `There is no bucket ${name}.`
    case 'TooManyBuckets':
      return 'The organization has as many buckets as it may have.'
    default:
      return message === code ? 'That could not be done.' : message
  }
}

/** What is said instead of an answer; `isBug`: it has to be logged. */
export function refusalOf(thrown: unknown): { readonly refusal: Refusal; readonly isBug: boolean } {
  if (thrown instanceof Refusal) return { refusal: thrown, isBug: false }
  const { fault, isExpected } = faultOf(thrown)
  const known = said[fault.code]
  if (known === undefined) {
    return {
      refusal: new Refusal(500, 'internal', 'Something went wrong here.'),
      isBug: !isExpected || !(thrown instanceof Fault),
    }
  }
  return { refusal: new Refusal(...known, sentence(fault)), isBug: !isExpected }
}
