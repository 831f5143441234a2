import { type Operation, operation } from '#gateway/operations/operation.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault, type FaultCode } from '#src/errors.ts'
import { gone, readBucket } from './setting.ts'

/**
 * Configurations whose effect is not built yet. Nobody can have put one, so a GET says that there is none, in S3's words, and
 * a DELETE succeeds; to PUT one is NotImplemented, since to keep it would promise what does not happen.
 */
interface AbsentSetting {
  /** As S3's operations are called: `Get` and the like come before it. */
  readonly name: string
  readonly key: string
  /** What GET answers: an error, or an empty document where S3 has no error for it. */
  readonly answer: FaultCode | Xml
  /** Behind `Get` and `Put`, where it is not the name. */
  readonly action: string
  readonly isDeletable: boolean
}

const match = (method: 'GET' | 'PUT' | 'DELETE', ...keys: readonly string[]) =>
  ({ method, scope: 'bucket', keys }) as const

function getAbsent({ name, key, answer, action }: AbsentSetting): Operation {
  return operation({
    name: `Get${name}`,
    match: match('GET', key),
    action: `s3:Get${action}`,
    decode: () => undefined,
    async run(_, context) {
      const bucket = await readBucket(context)
      if (typeof answer === 'string') throw new Fault(answer, { BucketName: bucket.name })
      return answer
    },
    encode: (body) => ({ status: 200, body }),
  })
}

function deleteAbsent({ name, key, action }: AbsentSetting): Operation {
  return operation({
    name: `Delete${name}`,
    match: match('DELETE', key),
    action: `s3:Put${action}`,
    decode: () => undefined,
    run: (_, context) => readBucket(context),
    encode: gone,
  })
}

const settings: readonly AbsentSetting[] = [
  {
    name: 'BucketAccelerateConfiguration',
    key: 'accelerate',
    answer: el('AccelerateConfiguration'),
    action: 'AccelerateConfiguration',
    isDeletable: false,
  },
  {
    name: 'BucketWebsite',
    key: 'website',
    answer: 'NoSuchWebsiteConfiguration',
    action: 'BucketWebsite',
    isDeletable: true,
  },
]

/** Settings of which a bucket can have many, each with an id. */
interface AbsentFamily {
  readonly name: string
  readonly key: string
  readonly list: string
}

const families: readonly AbsentFamily[] = [
  { name: 'Analytics', key: 'analytics', list: 'ListBucketAnalyticsConfigurationResult' },
  { name: 'IntelligentTiering', key: 'intelligent-tiering', list: 'ListBucketIntelligentTieringConfigurationsOutput' },
  { name: 'Inventory', key: 'inventory', list: 'ListInventoryConfigurationsResult' },
  { name: 'Metrics', key: 'metrics', list: 'ListMetricsConfigurationsResult' },
]

function familyOperations({ name, key, list }: AbsentFamily): readonly Operation[] {
  const absent = operation({
    name: `GetBucket${name}Configuration`,
    match: match('GET', key, 'id'),
    action: `s3:Get${name}Configuration`,
    decode: () => undefined,
    async run(_, context) {
      const bucket = await readBucket(context)
      throw new Fault('NoSuchConfiguration', { BucketName: bucket.name })
    },
    encode: () => ({ status: 404 }),
  })
  const none = operation({
    name: `ListBucket${name}Configurations`,
    match: match('GET', key),
    action: `s3:Get${name}Configuration`,
    decode: () => undefined,
    run: (_, context) => readBucket(context),
    encode: () => ({ status: 200, body: el(list, el('IsTruncated', false)) }),
  })
  return [absent, none]
}

export const absentConfigurations: readonly Operation[] = [
  ...settings.map(getAbsent),
  ...settings.filter((each) => each.isDeletable).map(deleteAbsent),
  ...families.flatMap(familyOperations),
]
