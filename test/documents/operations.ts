import { implemented } from '#gateway/operations/index.ts'
import type { Match } from '#gateway/operations/operation.ts'
import { everyOperation } from '#gateway/operations/unimplemented.ts'

/** What docs/s3-operations.md prints of the registry of operations. */

const toldOnly = 'kept and told as it was put; nothing comes of it'

/** What an operation that is there does not do. */
export const missing: Readonly<Record<string, string>> = {
  CreateBucket: 'no directory buckets',
  PutBucketAbac: "kept and told; policies may ask for a bucket's tags either way",
  PutBucketAccelerateConfiguration: 'kept and told; there is no other region yet that could be written to at once',
  PutBucketAnalyticsConfiguration: toldOnly,
  PutBucketIntelligentTieringConfiguration: toldOnly,
  PutBucketInventoryConfiguration: toldOnly,
  PutBucketMetricsConfiguration: toldOnly,
  PutBucketReplication:
    'existing objects, changes of replicas and SSE-C objects are not replicated; ReplicationTime and Metrics are kept and told',
  PutBucketRequestPayment: 'others must say that they pay, and are told that they do; nobody writes a bill',
  RestoreObject: 'of objects in cloud tiers; a restoration by a query is NotImplemented',
  PutBucketVersioning: 'MFA delete is NotImplemented',
  GetObjectTorrent: 'NoSuchKey, as no object has a torrent any more',
}

const noDirectories = 'there are no directory buckets'
const noTables = 'metadata tables are S3 Tables, which are not there'
const noAnnotations = 'payloads beside an object are not built yet'

/** Why an operation is not there. */
export const reasons: Readonly<Record<string, string>> = {
  ListDirectoryBuckets: noDirectories,
  CreateSession: noDirectories,
  CreateBucketMetadataConfiguration: noTables,
  GetBucketMetadataConfiguration: noTables,
  DeleteBucketMetadataConfiguration: noTables,
  CreateBucketMetadataTableConfiguration: noTables,
  GetBucketMetadataTableConfiguration: noTables,
  DeleteBucketMetadataTableConfiguration: noTables,
  UpdateBucketMetadataAnnotationTableConfiguration: noTables,
  UpdateBucketMetadataInventoryTableConfiguration: noTables,
  UpdateBucketMetadataJournalTableConfiguration: noTables,
  GetObjectAnnotation: noAnnotations,
  ListObjectAnnotations: noAnnotations,
  PutObjectAnnotation: noAnnotations,
  DeleteObjectAnnotation: noAnnotations,
  UpdateObjectEncryption: 'what a version is encrypted with never changes; a copy onto itself makes a new one',
  WriteGetObjectResponse: 'there is no Object Lambda, which AWS gives to no new customers either',
}

const present = new Set(implemented.map(({ name }) => name))

function thereIs(name: string): readonly [answer: 'yes' | 'partly' | 'no', what: string] {
  if (!present.has(name)) return ['no', reasons[name] ?? '']
  return missing[name] === undefined ? ['yes', ''] : ['partly', missing[name]]
}

const paths = { service: '/', bucket: '/bucket', object: '/bucket/key' } as const

function request({ method, scope, keys = [] }: Match): string {
  const query = keys.filter((each) => !each.startsWith('x-amz-'))
  const headers = keys.filter((each) => each.startsWith('x-amz-'))
  const target = `${method} ${paths[scope]}${query.length === 0 ? '' : `?${query.join('&')}`}`
  return [target, ...headers].map((each) => `\`${each}\``).join(', ')
}

/** Old names of requests that have another one now. */
export const otherNames: Readonly<Record<string, string>> = {
  GetBucketLifecycle: 'GetBucketLifecycleConfiguration',
  PutBucketLifecycle: 'PutBucketLifecycleConfiguration',
  GetBucketNotification: 'GetBucketNotificationConfiguration',
  PutBucketNotification: 'PutBucketNotificationConfiguration',
}

/** Every operation of the S3 API: how it is asked for, and whether it is there. */
export function operationsTable(): string {
  const rows = everyOperation.map(({ name, match }) => {
    const [answer, what] = thereIs(name)
    return `| ${name} | ${request(match)} | ${answer} | ${what} |`
  })
  for (const [name, now] of Object.entries(otherNames)) {
    const matching = everyOperation.find((each) => each.name === now)
    if (matching === undefined) throw new Error(`there is no ${now}`)
    rows.push(`| ${name} | ${request(matching.match)} | ${thereIs(now)[0]} | the old name of ${now} |`)
  }
  return ['| operation | request | there | what is missing, or answered |', '|---|---|---|---|', ...rows].join('\n')
}

export function operationsSummary(): string {
  const answers = everyOperation.map(({ name }) => thereIs(name)[0])
  const count = (answer: string): number => answers.filter((each) => each === answer).length
  return `${answers.length} operations: ${count('yes')} yes, ${count('partly')} partly, ${count('no')} no.`
}
