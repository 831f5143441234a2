import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { check, type Day, inside, type Program, plain, same } from '#compat/day.ts'

/** `aws s3api` where it is no copying of files: who may, encryption, locks, rules, logs. */

const bucket = 'aws-day-settings'
const logs = 'aws-day-logs'

export async function awsSettings(day: Day, program: Program): Promise<void> {
  await new Settings(day, program).work()
}

class Settings {
  readonly #day: Day
  readonly #program: Program
  readonly #file: string
  readonly #got: string

  constructor(day: Day, program: Program) {
    this.#day = day
    this.#program = program
    this.#file = inside(day, 'setting.txt')
    this.#got = inside(day, 'setting-again.txt')
  }

  async work(): Promise<void> {
    await writeFile(this.#file, 'a setting\n')
    await this.#api('create-bucket', '--bucket', bucket, '--object-lock-enabled-for-bucket')
    await this.#access()
    await this.#encryption()
    await this.#rules()
    await this.#locks()
  }

  #api(...args: string[]): Promise<string> {
    return this.#program.run('s3api', ...args)
  }

  #refused(why: RegExp, ...args: string[]): Promise<void> {
    return this.#program.refused(why, 's3api', ...args)
  }

  async #json<Answer>(...args: string[]): Promise<Answer> {
    return JSON.parse((await this.#api(...args, '--output', 'json')) || '{}')
  }

  async #access(): Promise<void> {
    await this.#day.journal.step('a policy for everybody, and the block of public access', async () => {
      const on = ['--bucket', bucket]
      await this.#api('put-object', ...on, '--key', 'open/one', '--body', this.#file)
      const url = `${this.#day.site.endpoint}/${bucket}/open/one`
      same((await plain(url)).status, 403, 'the answer to nobody, without a policy')
      const Resource = `arn:aws:s3:::${bucket}/open/*`
      const statement = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource }
      const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
      await this.#api('put-bucket-policy', ...on, '--policy', policy)
      same((await plain(url)).body.toString(), 'a setting\n', 'what everybody reads')
      const { PolicyStatus } = await this.#json<{ PolicyStatus: unknown }>('get-bucket-policy-status', ...on)
      same(PolicyStatus, { IsPublic: true }, 'the status of the policy')
      const block = 'BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true'
      await this.#api('put-public-access-block', ...on, '--public-access-block-configuration', block)
      same((await plain(url)).status, 403, 'the answer to nobody, behind the block')
      await this.#refused(/AccessDenied/, 'put-bucket-policy', ...on, '--policy', policy)
      await this.#api('delete-public-access-block', ...on)
      await this.#api('delete-bucket-policy', ...on)
      await this.#refused(/NoSuchBucketPolicy/, 'get-bucket-policy', ...on)
      return ''
    })
  }

  async #encryption(): Promise<void> {
    await this.#day.journal.step("encryption by the bucket's default and with a key of one's own", async () => {
      const on = ['--bucket', bucket]
      const rule = { Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } }] }
      const given = JSON.stringify(rule)
      await this.#api('put-bucket-encryption', ...on, '--server-side-encryption-configuration', given)
      await this.#api('put-object', ...on, '--key', 'sealed', '--body', this.#file)
      const head = await this.#json<Record<string, string>>('head-object', ...on, '--key', 'sealed')
      same(head['ServerSideEncryption'], 'aws:kms', 'how it is encrypted')
      check(head['SSEKMSKeyId'] !== undefined, 'the key is not told')
      await this.#api('delete-bucket-encryption', ...on)
      const key = inside(this.#day, 'customer.key')
      await writeFile(key, randomBytes(32))
      const ours = ['--sse-customer-algorithm', 'AES256', '--sse-customer-key', `fileb://${key}`]
      await this.#api('put-object', ...on, '--key', 'ours', '--body', this.#file, ...ours)
      await this.#refused(/400|InvalidRequest|Bad Request/, 'get-object', ...on, '--key', 'ours', this.#got)
      await this.#api('get-object', ...on, '--key', 'ours', ...ours, this.#got)
      same(await readFile(this.#got, 'utf8'), 'a setting\n', 'what the key opens')
      return 'aws:kms, SSE-C'
    })
  }

  async #rules(): Promise<void> {
    await this.#day.journal.step('rules of a lifecycle, and a log of requests', async () => {
      const on = ['--bucket', bucket]
      const Rules = [{ ID: 'old', Status: 'Enabled', Filter: { Prefix: 'old/' }, Expiration: { Days: 3 } }]
      const given = JSON.stringify({ Rules })
      await this.#api('put-bucket-lifecycle-configuration', ...on, '--lifecycle-configuration', given)
      await this.#api('put-object', ...on, '--key', 'old/one', '--body', this.#file)
      const { Expiration } = await this.#json<{ Expiration?: string }>('head-object', ...on, '--key', 'old/one')
      check(Expiration?.includes('rule-id="old"') === true, `the object says of its end: ${Expiration}`)
      await this.#api('delete-bucket-lifecycle', ...on)
      await this.#api('create-bucket', '--bucket', logs)
      const Resource = `arn:aws:s3:::${logs}/*`
      const Principal = { Service: 'logging.s3.amazonaws.com' }
      const policy = {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal, Action: 's3:PutObject', Resource }],
      }
      await this.#api('put-bucket-policy', '--bucket', logs, '--policy', JSON.stringify(policy))
      const LoggingEnabled = { TargetBucket: logs, TargetPrefix: 'log/' }
      const logging = ['--bucket-logging-status', JSON.stringify({ LoggingEnabled })]
      await this.#api('put-bucket-logging', ...on, ...logging)
      const kept = await this.#json<{ LoggingEnabled: Record<string, unknown> }>('get-bucket-logging', ...on)
      same(kept.LoggingEnabled['TargetBucket'], logs, 'where the log goes')
      await this.#api('put-bucket-logging', ...on, '--bucket-logging-status', '{}')
      return ''
    })
  }

  /** Ends the buckets, too: what was locked goes last. */
  async #locks(): Promise<void> {
    await this.#day.journal.step('retention and legal hold, and the way past them', async () => {
      const at = ['--bucket', bucket, '--key', 'locked']
      const until = new Date(Date.now() + 86_400_000).toISOString()
      const lock = ['--object-lock-mode', 'GOVERNANCE', '--object-lock-retain-until-date', until]
      const { VersionId } = await this.#json<{ VersionId: string }>(
        ...['put-object', ...at, '--body', this.#file, '--object-lock-legal-hold-status', 'ON', ...lock],
      )
      const version = ['--version-id', VersionId]
      const bypass = '--bypass-governance-retention'
      await this.#refused(/AccessDenied/, 'delete-object', ...at, ...version)
      await this.#refused(/AccessDenied/, 'delete-object', ...at, ...version, bypass)
      await this.#api('put-object-legal-hold', ...at, '--legal-hold', 'Status=OFF')
      await this.#refused(/AccessDenied/, 'delete-object', ...at, ...version)
      await this.#api('delete-object', ...at, ...version, bypass)
      const { Versions = [] } = await this.#json<{ Versions?: { Key: string; VersionId: string }[] }>(
        ...['list-object-versions', '--bucket', bucket],
      )
      for (const each of Versions) {
        await this.#api('delete-object', '--bucket', bucket, '--key', each.Key, '--version-id', each.VersionId)
      }
      await this.#program.run('s3', 'rb', '--force', `s3://${logs}`)
      await this.#api('delete-bucket', '--bucket', bucket)
      return `${Versions.length + 1} versions`
    })
  }
}
