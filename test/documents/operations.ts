import { absentConfigurations } from '#gateway/operations/configuration/absent.ts'
import { implemented } from '#gateway/operations/index.ts'
import type { Match } from '#gateway/operations/operation.ts'
import { everyOperation } from '#gateway/operations/unimplemented.ts'

/** What docs/s3-operations.md prints of the registry of operations. */

const encryption = 'headers of server-side encryption are NotImplemented'

/** What an operation that is there does not do. */
export const missing: Readonly<Record<string, string>> = {
  CreateBucket: 'no directory buckets; any location is taken, and none has an effect yet',
  PutObject: `${encryption}, as is appending (x-amz-write-offset-bytes); a storage class is a name only`,
  PostObject: `${encryption}; a storage class is a name only`,
  GetObject: encryption,
  HeadObject: encryption,
  GetObjectAttributes: encryption,
  CopyObject: `${encryption}; a storage class is a name only`,
  CreateMultipartUpload: `${encryption}; a storage class is a name only`,
  UploadPart: encryption,
  UploadPartCopy: encryption,
  CompleteMultipartUpload: encryption,
  ListParts: encryption,
  RestoreObject: 'of objects in cloud tiers; a restoration by a query is NotImplemented',
  PutBucketReplication:
    'existing objects, changes of replicas and SSE-C objects are not replicated; ReplicationTime and Metrics are kept and told',
  PutBucketVersioning: 'MFA delete is NotImplemented',
  PutBucketRequestPayment: 'kept and told, but nobody is billed',
  GetObjectTorrent: 'NoSuchKey, as no object has a torrent any more',
}

const absent = new Set(absentConfigurations.map(({ name }) => name))
const present = new Set(implemented.map(({ name }) => name))

function thereIs(name: string): readonly [answer: 'yes' | 'partly' | 'no', what: string] {
  if (!present.has(name)) return ['no', 'NotImplemented']
  if (!absent.has(name)) return missing[name] === undefined ? ['yes', ''] : ['partly', missing[name]]
  if (name.startsWith('Put')) return ['partly', 'an empty document only; any other is NotImplemented']
  if (name.startsWith('Delete')) return ['partly', 'succeeds, as there never is one']
  return ['partly', 'says that there is none']
}

const paths = { service: '/', bucket: '/bucket', object: '/bucket/key' } as const

function request({ method, scope, keys = [] }: Match): string {
  const query = keys.filter((each) => !each.startsWith('x-amz-'))
  const headers = keys.filter((each) => each.startsWith('x-amz-'))
  const target = `${method} ${paths[scope]}${query.length === 0 ? '' : `?${query.join('&')}`}`
  return [target, ...headers].map((each) => `\`${each}\``).join(', ')
}

/** Every operation of the S3 API: how it is asked for, and whether it is there. */
export function operationsTable(): string {
  const rows = everyOperation.map(({ name, match }) => {
    const [answer, what] = thereIs(name)
    return `| ${name} | ${request(match)} | ${answer} | ${what} |`
  })
  return ['| operation | request | there | what is missing, or answered |', '|---|---|---|---|', ...rows].join('\n')
}

export function operationsSummary(): string {
  const answers = everyOperation.map(({ name }) => thereIs(name)[0])
  const count = (answer: string): number => answers.filter((each) => each === answer).length
  return `${answers.length} operations: ${count('yes')} yes, ${count('partly')} partly, ${count('no')} no.`
}
