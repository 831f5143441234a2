import { type Operation, operation } from '#gateway/operations/operation.ts'
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
  /** What GET answers. */
  readonly answer: FaultCode
  /** Behind `Get` and `Put`, where it is not the name. */
  readonly action: string
}

const match = (method: 'GET' | 'PUT' | 'DELETE', ...keys: readonly string[]) =>
  ({ method, scope: 'bucket', keys }) as const

function getAbsent({ name, key, answer, action }: AbsentSetting): Operation {
  return operation({
    name: `Get${name}`,
    match: match('GET', key),
    action: `s3:Get${action}`,
    decode: () => undefined,
    async run(_, context): Promise<never> {
      const bucket = await readBucket(context)
      throw new Fault(answer, { BucketName: bucket.name })
    },
    encode: () => ({ status: 404 }),
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
    name: 'BucketReplication',
    key: 'replication',
    answer: 'ReplicationConfigurationNotFoundError',
    action: 'ReplicationConfiguration',
  },
]

export const absentConfigurations: readonly Operation[] = [...settings.map(getAbsent), ...settings.map(deleteAbsent)]
