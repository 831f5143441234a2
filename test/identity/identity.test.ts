import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { GetObjectCommand, ListBucketsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { keys, refusal, useHarness } from '../s3/store.ts'
import { callQuery, type QueryAnswer, type QueryCredentials } from '../support/query-client.ts'
import { SignedClient } from '../support/signed-client.ts'

/** IAM and STS as clients meet them, over a whole store. */

const harness = useHarness()

const iam = (by: QueryCredentials | undefined, Action: string, fields: Record<string, string> = {}) =>
  callQuery(harness().endpoint, 'iam', by, { Action, ...fields })
const sts = (by: QueryCredentials | undefined, Action: string, fields: Record<string, string> = {}) =>
  callQuery(harness().endpoint, 'sts', by, { Action, ...fields })

const credentialsOf = (answer: QueryAnswer): QueryCredentials => {
  assert.equal(answer.code, 'ok', answer.text)
  const token = answer.element('SessionToken')
  const own = { accessKeyId: answer.element('AccessKeyId'), secretAccessKey: answer.element('SecretAccessKey') }
  return token === '' ? own : { ...own, sessionToken: token }
}

const clients: S3Client[] = []
function s3(credentials: QueryCredentials): S3Client {
  const { endpoint } = harness()
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials, maxAttempts: 1 })
  clients.push(client)
  return client
}

const policy = (Effect: string, Action: string, more: object = { Resource: '*' }): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect, Action, ...more }] })

const allowed = async (request: Promise<unknown>): Promise<string> => {
  const refused = await refusal(request)
  return refused === 'nothing was refused' ? 'done' : refused
}

const root = keys.alice

async function makeUser(name: string): Promise<QueryCredentials> {
  assert.equal((await iam(root, 'CreateUser', { UserName: name })).code, 'ok')
  return credentialsOf(await iam(root, 'CreateAccessKey', { UserName: name }))
}

async function makeRole(name: string, principal: object, action = 'sts:AssumeRole'): Promise<string> {
  const trust = policy('Allow', action, { Principal: principal })
  const answer = await iam(root, 'CreateRole', { RoleName: name, AssumeRolePolicyDocument: trust })
  assert.equal(answer.code, 'ok', answer.text)
  return answer.element('Arn')
}

after(() => {
  for (const client of clients) client.destroy()
})

let made: Promise<string> | undefined

async function makeBox(): Promise<string> {
  const name = await harness().makeBucket()
  await harness().client.send(new PutObjectCommand({ Bucket: name, Key: 'key', Body: 'x' }))
  return name
}

/** Alice's bucket, with an object in it. */
function box(): Promise<string> {
  made ??= makeBox()
  return made
}

const get = async (client: S3Client) =>
  await allowed(client.send(new GetObjectCommand({ Bucket: await box(), Key: 'key' })))
const list = (client: S3Client) => allowed(client.send(new ListBucketsCommand({})))

test('I11: what a user is given and loses counts from the answer on', async () => {
  const client = s3(await makeUser('ann'))
  const steps: [string, Record<string, string>, string][] = [
    ['PutUserPolicy', { PolicyName: 'p', PolicyDocument: policy('Allow', 's3:GetObject') }, 'done'],
    ['DeleteUserPolicy', { PolicyName: 'p' }, '403 AccessDenied'],
    ['AttachUserPolicy', { PolicyArn: 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess' }, 'done'],
    ['PutUserPolicy', { PolicyName: 'd', PolicyDocument: policy('Deny', 's3:GetObject') }, '403 AccessDenied'],
    ['DeleteUserPolicy', { PolicyName: 'd' }, 'done'],
    [
      'PutUserPermissionsBoundary',
      { PermissionsBoundary: 'arn:aws:iam::aws:policy/IAMFullAccess' },
      '403 AccessDenied',
    ],
    ['DeleteUserPermissionsBoundary', {}, 'done'],
    ['DetachUserPolicy', { PolicyArn: 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess' }, '403 AccessDenied'],
  ]
  assert.equal(await get(client), '403 AccessDenied')
  for (const [action, fields, expected] of steps) {
    assert.equal((await iam(root, action, { UserName: 'ann', ...fields })).code, 'ok', action)
    assert.equal(await get(client), expected, action)
  }
})

test('I11: groups and versions of policies count as they stand', async () => {
  const client = s3(await makeUser('gus'))
  const ok = async (action: string, fields: Record<string, string>): Promise<QueryAnswer> => {
    const answer = await iam(root, action, fields)
    assert.equal(answer.code, 'ok', `${action} ${answer.text}`)
    return answer
  }
  await ok('CreateGroup', { GroupName: 'Readers' })
  const document = policy('Allow', 's3:GetObject')
  const PolicyArn = (await ok('CreatePolicy', { PolicyName: 'reading', PolicyDocument: document })).element('Arn')
  await ok('AttachGroupPolicy', { GroupName: 'readers', PolicyArn })
  assert.equal(await get(client), '403 AccessDenied')
  await ok('AddUserToGroup', { GroupName: 'READERS', UserName: 'gus' })
  assert.equal(await get(client), 'done')
  await ok('UpdateGroup', { GroupName: 'Readers', NewGroupName: 'Lectors' })
  await ok('UpdateUser', { UserName: 'gus', NewUserName: 'august' })
  assert.equal(await get(client), 'done')
  const denying = policy('Deny', 's3:*')
  await ok('CreatePolicyVersion', { PolicyArn, PolicyDocument: denying, SetAsDefault: 'true' })
  assert.equal(await get(client), '403 AccessDenied')
  assert.equal((await iam(root, 'DeletePolicyVersion', { PolicyArn, VersionId: 'v2' })).code, 'DeleteConflict')
  await ok('SetDefaultPolicyVersion', { PolicyArn, VersionId: 'v1' })
  assert.equal(await get(client), 'done')
  assert.equal((await iam(root, 'DeletePolicy', { PolicyArn })).code, 'DeleteConflict')
  assert.equal((await iam(root, 'DeleteGroup', { GroupName: 'lectors' })).code, 'DeleteConflict')
  assert.equal((await iam(root, 'DeleteUser', { UserName: 'august' })).code, 'DeleteConflict')
  await ok('RemoveUserFromGroup', { GroupName: 'lectors', UserName: 'august' })
  assert.equal(await get(client), '403 AccessDenied')
})

test('who makes a bucket may say in how many regions its writes are only where that could be set later', async () => {
  const { accessKeyId: accessKey, secretAccessKey: secretKey } = await makeUser('mae')
  const client = new SignedClient(harness().endpoint, { accessKey, secretKey })
  const make = async (headers: Record<string, string>): Promise<string> => {
    const { status, body } = await client.send({ method: 'PUT', path: '/made-by-mae', headers })
    return `${status} ${/<Code>(\w+)</.exec(body.toString())?.[1] ?? ''}`
  }
  const grant = (PolicyName: string, action: string) =>
    iam(root, 'PutUserPolicy', { UserName: 'mae', PolicyName, PolicyDocument: policy('Allow', action) })
  const headers = { 'x-meridian-durability-regions': '1' }
  try {
    await grant('make', 's3:CreateBucket')
    assert.equal(await make(headers), '403 AccessDenied')
    await grant('set', 's3:PutBucketInformation')
    // As when it is set later: there are no other regions.
    assert.equal(await make(headers), '400 InvalidRequest')
    assert.equal(await make({}), '200 ')
  } finally {
    client.close()
  }
})

test('a key that is inactive, or whose user is gone, opens nothing', async () => {
  const key = await makeUser('kay')
  const client = s3(key)
  const fields = { UserName: 'kay', AccessKeyId: key.accessKeyId }
  await iam(root, 'PutUserPolicy', { UserName: 'kay', PolicyName: 'p', PolicyDocument: policy('Allow', 's3:*') })
  assert.equal(await list(client), 'done')
  await iam(root, 'UpdateAccessKey', { ...fields, Status: 'Inactive' })
  assert.equal(await list(client), '403 InvalidAccessKeyId')
  assert.equal((await sts(key, 'GetCallerIdentity')).code, 'InvalidClientTokenId')
  await iam(root, 'UpdateAccessKey', { ...fields, Status: 'Active' })
  assert.equal(await list(client), 'done')
  await iam(root, 'DeleteAccessKey', fields)
  assert.equal(await list(client), '403 InvalidAccessKeyId')
})

test('a user may do of IAM what its policies say, within its own account', async () => {
  const key = await makeUser('ida')
  assert.equal((await iam(key, 'CreateUser', { UserName: 'new' })).code, 'AccessDenied')
  assert.equal((await iam(key, 'GetUser', { UserName: 'nobody' })).code, 'AccessDenied')
  const own = policy('Allow', 'iam:*User', { Resource: 'arn:aws:iam::*:user/team/*' })
  await iam(root, 'PutUserPolicy', { UserName: 'ida', PolicyName: 'p', PolicyDocument: own })
  assert.equal((await iam(key, 'CreateUser', { UserName: 'new', Path: '/team/' })).code, 'ok')
  assert.equal((await iam(key, 'CreateUser', { UserName: 'other', Path: '/' })).code, 'AccessDenied')
  assert.equal((await iam(key, 'DeleteUser', { UserName: 'ida' })).code, 'AccessDenied')
  assert.equal((await iam(key, 'DeleteUser', { UserName: 'new' })).code, 'ok')
  // Names of another account are its own.
  assert.equal((await iam(keys.bob, 'GetUser', { UserName: 'ida' })).code, 'NoSuchEntity')
  assert.equal((await iam(keys.bob, 'CreateUser', { UserName: 'ida' })).code, 'ok')
})

test('I12: a session acts as its role, bound by its policy, and ends with it', async () => {
  const user = await makeUser('sam')
  const userArn = `arn:aws:iam::${harness().ids.alice}:user/sam`
  const RoleArn = await makeRole('worker', { AWS: userArn })
  const ask = { RoleArn, RoleSessionName: 'night' }
  assert.equal((await sts(root, 'AssumeRole', ask)).code, 'AccessDenied', 'no account itself')
  assert.equal((await sts(keys.bob, 'AssumeRole', ask)).code, 'AccessDenied')
  assert.equal((await sts(undefined, 'AssumeRole', ask)).code, 'MissingAuthenticationToken')
  assert.equal((await sts(user, 'AssumeRole', { ...ask, RoleArn: `${RoleArn}x` })).code, 'AccessDenied')
  assert.equal((await sts(user, 'AssumeRole', { ...ask, DurationSeconds: '7200' })).code, 'ValidationError')

  const plain = credentialsOf(await sts(user, 'AssumeRole', ask))
  const bound = credentialsOf(await sts(user, 'AssumeRole', { ...ask, Policy: policy('Allow', 's3:ListAllMyBuckets') }))
  assert.equal(await get(s3(plain)), '403 AccessDenied')
  const grant = { RoleName: 'worker', PolicyName: 'p' }
  await iam(root, 'PutRolePolicy', { ...grant, PolicyDocument: policy('Allow', 's3:*') })
  assert.deepEqual([await get(s3(plain)), await list(s3(plain))], ['done', 'done'])
  assert.deepEqual([await get(s3(bound)), await list(s3(bound))], ['403 AccessDenied', 'done'])
  assert.match((await sts(plain, 'GetCallerIdentity')).element('Arn'), /:assumed-role\/worker\/night$/)
  assert.equal((await sts(plain, 'GetSessionToken')).code, 'AccessDenied')

  // Neither without its token, nor with that of another key, nor unsigned.
  const { accessKeyId, secretAccessKey } = plain
  const token = bound.sessionToken ?? ''
  assert.equal(await list(s3({ accessKeyId, secretAccessKey })), '403 InvalidAccessKeyId')
  assert.equal(await list(s3({ accessKeyId, secretAccessKey, sessionToken: token })), '400 InvalidToken')
  assert.equal(await list(s3({ ...root, sessionToken: token })), '400 InvalidToken')
  const headers = { 'x-amz-security-token': plain.sessionToken ?? '' }
  const added = await callQuery(harness().endpoint, 'sts', root, { Action: 'GetCallerIdentity' }, { headers })
  assert.equal(added.status, 403)

  const url = await getSignedUrl(s3(plain), new GetObjectCommand({ Bucket: await box(), Key: 'key' }))
  assert.equal((await fetch(url)).status, 200)
  assert.equal(
    (await fetch(url.replace(/X-Amz-Security-Token=[^&]*/, `X-Amz-Security-Token=${encodeURIComponent(token)}`)))
      .status,
    400,
  )

  await iam(root, 'DeleteRolePolicy', grant)
  await iam(root, 'DeleteRole', { RoleName: 'worker' })
  assert.equal(await list(s3(plain)), '400 InvalidToken')
  await makeRole('worker', { AWS: userArn })
  assert.equal(await list(s3(plain)), '400 InvalidToken', 'a namesake is another role')
})

test('a user with temporary credentials is that user still', async () => {
  const key = await makeUser('tom')
  await iam(root, 'PutUserPolicy', {
    UserName: 'tom',
    PolicyName: 'p',
    PolicyDocument: policy('Allow', 's3:GetObject'),
  })
  const session = credentialsOf(await sts(key, 'GetSessionToken'))
  assert.deepEqual([await get(s3(session)), await list(s3(session))], ['done', '403 AccessDenied'])
  assert.match((await sts(session, 'GetCallerIdentity')).element('Arn'), /:user\/tom$/)
  const ofRoot = credentialsOf(await sts(root, 'GetSessionToken'))
  assert.equal(await list(s3(ofRoot)), 'done')
})

test('a call is signed for its service, over its body, and is one of the API', async () => {
  const { endpoint } = harness()
  const fields = { Action: 'ListUsers' }
  const call = (change: Parameters<typeof callQuery>[4]) => callQuery(endpoint, 'iam', root, fields, change)
  assert.equal((await call({})).code, 'ok')
  assert.equal((await call({ body: 'Action=ListRoles&Version=2010-05-08' })).code, 'SignatureDoesNotMatch')
  assert.equal((await call({ scope: 's3' })).code, 'IncompleteSignature')
  assert.equal((await call({ scope: 'sts' })).code, 'InvalidAction')
  assert.equal((await iam(undefined, 'ListUsers')).code, 'MissingAuthenticationToken')
  assert.equal((await iam(root, 'LaunchRockets')).code, 'InvalidAction')
  assert.equal((await iam(root, 'CreateUser')).code, 'ValidationError')
  assert.equal((await iam(root, 'CreateUser', { UserName: 'a/b' })).code, 'ValidationError')
  const { status, text } = await iam(root, 'GetUser', { UserName: 'nobody' })
  assert.equal(status, 404)
  assert.match(
    text,
    /<ErrorResponse xmlns="https:\/\/iam\.amazonaws\.com\/doc\/2010-05-08\/"><Error><Type>Sender<\/Type><Code>NoSuchEntity</,
  )
})

test('lists come in pages, by name without regard to case', async () => {
  const names = ['pa', 'Pb', 'pc', 'Pd']
  for (const UserName of names.toReversed()) await iam(root, 'CreateUser', { UserName, Path: `/pages/${UserName}/` })
  const found: string[] = []
  let marker = ''
  do {
    const more: Record<string, string> = marker === '' ? {} : { Marker: marker }
    const answer = await iam(root, 'ListUsers', { PathPrefix: '/pages/', MaxItems: '1', ...more })
    assert.equal(answer.code, 'ok')
    found.push(answer.element('UserName'))
    marker = answer.element('Marker')
  } while (marker !== '' && found.length < 10)
  assert.deepEqual(found, names)
})

test('nobody comes to be the account by managing its users, nor by its name', async () => {
  const { services, ids } = harness()
  const key = await makeUser('mallory')
  await iam(root, 'AttachUserPolicy', { UserName: 'mallory', PolicyArn: 'arn:aws:iam::aws:policy/IAMFullAccess' })
  assert.equal((await iam(key, 'CreateAccessKey')).element('UserName'), 'mallory')
  assert.equal((await iam(key, 'CreateUser', { UserName: ids.alice })).code, 'ok')
  const namesake = credentialsOf(await iam(key, 'CreateAccessKey', { UserName: ids.alice }))
  assert.equal(await list(s3(namesake)), '403 AccessDenied')
  const session = credentialsOf(await sts(namesake, 'GetSessionToken'))
  assert.equal(await list(s3(session)), '403 AccessDenied')
  assert.equal(await list(s3(credentialsOf(await sts(key, 'GetSessionToken')))), '403 AccessDenied')

  const member = { displayName: 'm', email: '', tenant: 'club' }
  await services.identity.createAccount({ ...member, id: 'chief', isAdministrator: true })
  await services.identity.createAccount({ ...member, id: 'clerk' })
  const clerk = await services.identity.createKey({ accountId: 'clerk' })
  const asking = { accessKeyId: clerk.id, secretAccessKey: clerk.secret }
  await services.iam.bearers.attach('club', 'user', 'clerk', 'arn:aws:iam::aws:policy/IAMFullAccess')
  for (const UserName of ['chief', 'CHIEF']) {
    assert.equal((await iam(asking, 'CreateAccessKey', { UserName })).code, 'UnmodifiableEntity')
    assert.equal((await iam(asking, 'ListAccessKeys', { UserName })).code, 'UnmodifiableEntity')
    assert.equal((await iam(asking, 'DeleteUser', { UserName })).code, 'UnmodifiableEntity')
  }
  await iam(asking, 'CreateUser', { UserName: 'help' })
  const help = credentialsOf(await iam(asking, 'CreateAccessKey', { UserName: 'help' }))
  await services.iam.bearers.attach('club', 'user', 'help', 'arn:aws:iam::aws:policy/IAMFullAccess')
  assert.equal((await iam(help, 'CreateAccessKey', { UserName: 'clerk' })).code, 'UnmodifiableEntity')
  assert.equal((await iam(asking, 'CreateAccessKey')).code, 'ok')
})

test('an account that is deleted takes its users with it', async () => {
  const { services } = harness()
  const { id } = await services.identity.createAccount({ displayName: 'gone', email: '' })
  const { id: accessKeyId, secret: secretAccessKey } = await services.identity.createKey({ accountId: id })
  const gone = { accessKeyId, secretAccessKey }
  await iam(gone, 'CreateUser', { UserName: 'u' })
  const key = credentialsOf(await iam(gone, 'CreateAccessKey', { UserName: 'u' }))
  assert.equal((await sts(key, 'GetCallerIdentity')).code, 'ok')
  await services.identity.deleteAccount(id)
  assert.equal((await sts(key, 'GetCallerIdentity')).code, 'InvalidClientTokenId')
  await services.identity.createAccount({ id, displayName: 'anew', email: '' })
  assert.deepEqual(
    (await services.iam.entities.list(id, 'user', { pathPrefix: '/', marker: undefined, limit: 9 })).items,
    [],
  )
})

test('accounts of a tenant share their names, and keep what they own', async () => {
  const { services } = harness()
  const make = async (id: string, tenant: string) => {
    await services.identity.createAccount({ id, displayName: id, email: '', tenant })
    const { id: accessKeyId, secret: secretAccessKey } = await services.identity.createKey({ accountId: id })
    return { accessKeyId, secretAccessKey }
  }
  const one = await make('one', 'guild')
  await make('two', 'guild')
  await assert.rejects(make('guild', 'x'), { code: 'EntityAlreadyExists' })
  await assert.rejects(make('three', harness().ids.alice), { code: 'EntityAlreadyExists' })
  assert.equal((await sts(one, 'GetCallerIdentity')).element('Arn'), 'arn:aws:iam::guild:user/one')
  assert.equal(await list(s3(one)), 'done')
  assert.equal((await iam(one, 'ListUsers')).code, 'AccessDenied', 'names are not theirs alone')
  await services.iam.bearers.put('guild', 'user', 'one', 'p', policy('Allow', 'iam:ListUsers'))
  assert.match((await iam(one, 'ListUsers')).text, /<UserName>one<.*<UserName>two</)
  await services.iam.bearers.put('guild', 'user', 'one', 'p', policy('Deny', 's3:ListAllMyBuckets'))
  assert.equal(await list(s3(one)), '403 AccessDenied')
})
