import { awsEnvironment, check, type Day, Program } from '#compat/day.ts'

/** `aws iam` and `aws sts`: a user that may read, a role that it takes on, and the end of both. */

const user = 'aws-day-user'
const role = 'aws-day-role'

const document = (action: string, more: object): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: action, ...more }] })

interface Keys {
  readonly AccessKeyId: string
  readonly SecretAccessKey: string
  readonly SessionToken?: string
}

function asked(day: Day, command: string, keys?: Keys): Program {
  const environment = {
    ...awsEnvironment(day.site),
    AWS_PAGER: '',
    ...(keys !== undefined && { AWS_ACCESS_KEY_ID: keys.AccessKeyId, AWS_SECRET_ACCESS_KEY: keys.SecretAccessKey }),
    ...(keys?.SessionToken !== undefined && { AWS_SESSION_TOKEN: keys.SessionToken }),
  }
  return new Program(day, command, ['--endpoint-url', day.site.endpoint, '--output', 'json'], environment)
}

export async function workWithIdentities(day: Day, command: string, bucket: string): Promise<void> {
  await day.journal.step('users, roles and sessions', async () => {
    const root = asked(day, command)
    const json = async <Answer>(program: Program, ...args: string[]): Promise<Answer> =>
      JSON.parse(await program.run(...args))
    const ofUser = ['--user-name', user]
    const ofRole = ['--role-name', role]
    const made = await json<{ User: { Arn: string } }>(root, 'iam', 'create-user', ...ofUser)
    const { AccessKey } = await json<{ AccessKey: Keys }>(root, 'iam', 'create-access-key', ...ofUser)
    const own = asked(day, command, AccessKey)
    const identity = await json<{ Arn: string }>(own, 'sts', 'get-caller-identity')
    check(identity.Arn === made.User.Arn, `the user is ${identity.Arn}, not ${made.User.Arn}`)

    const lent = await json<{ Credentials: Keys }>(own, 'sts', 'get-session-token', '--duration-seconds', '900')
    const again = await json<{ Arn: string }>(asked(day, command, lent.Credentials), 'sts', 'get-caller-identity')
    check(again.Arn === made.User.Arn, `with temporary credentials the user is ${again.Arn}`)
    await own.refused(/AccessDenied/, 's3api', 'list-objects-v2', '--bucket', bucket)
    await own.refused(/AccessDenied/, 'iam', 'list-users')
    const reading = 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess'
    await root.run('iam', 'attach-user-policy', ...ofUser, '--policy-arn', reading)
    await own.run('s3api', 'list-objects-v2', '--bucket', bucket)
    await own.refused(/AccessDenied/, 's3api', 'put-object', '--bucket', bucket, '--key', 'no')

    const trust = document('sts:AssumeRole', { Principal: { AWS: made.User.Arn } })
    const created = await json<{ Role: { Arn: string } }>(
      ...([root, 'iam', 'create-role', ...ofRole, '--assume-role-policy-document', trust] as const),
    )
    const allowing = document('s3:*', { Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`] })
    await root.run('iam', 'put-role-policy', ...ofRole, '--policy-name', 'all', '--policy-document', allowing)
    const session = await json<{ Credentials: Keys }>(
      ...([own, 'sts', 'assume-role', '--role-arn', created.Role.Arn, '--role-session-name', 'day'] as const),
    )
    const taken = asked(day, command, session.Credentials)
    await taken.run('s3api', 'put-object', '--bucket', bucket, '--key', 'by-role')
    await taken.run('s3api', 'delete-object', '--bucket', bucket, '--key', 'by-role')
    await taken.refused(/AccessDenied/, 's3api', 'list-buckets')

    await root.refused(/DeleteConflict/, 'iam', 'delete-user', ...ofUser)
    await root.run('iam', 'delete-access-key', ...ofUser, '--access-key-id', AccessKey.AccessKeyId)
    await root.run('iam', 'detach-user-policy', ...ofUser, '--policy-arn', reading)
    await root.run('iam', 'delete-user', ...ofUser)
    await root.run('iam', 'delete-role-policy', ...ofRole, '--policy-name', 'all')
    await root.run('iam', 'delete-role', ...ofRole)
    await taken.refused(/InvalidToken/, 's3api', 'list-objects-v2', '--bucket', bucket)
    return 'aws iam, aws sts'
  })
}
