import type { FormAuthority, FormToSign } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import { anonymous, type Caller } from '#src/model/identity.ts'
import { parseAmzDate, skewMax } from './dates.ts'
import { checkPolicy, parsePostPolicy } from './post-policy.ts'
import { callerOf } from './request.ts'
import { isSameText, parseCredential } from './signature.ts'
import { verify2 } from './sigv2.ts'
import { algorithm, type Verifier } from './sigv4.ts'

/** Any of these makes a form an attempt to sign (A1). */
const marks = [
  'policy',
  'signature',
  'awsaccesskeyid',
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-signature',
]

function needed(fields: ReadonlyMap<string, string>, name: string): string {
  const value = fields.get(name)
  if (value !== undefined && value !== '') return value
  throw new Fault('InvalidArgument', {
    message: `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`,
    ArgumentName: name,
    ArgumentValue: '',
  })
}

/** Who made a POST form. Its policy is what is signed; what the policy says of the form is checked here too. */
export async function authenticateForm(form: FormToSign, verifier: Verifier): Promise<FormAuthority> {
  const { fields } = form
  const token = fields.get('x-amz-security-token')
  if (!marks.some((name) => fields.has(name))) {
    if (token !== undefined) throw new Fault('InvalidToken')
    return { caller: anonymous, bytesMin: 0, bytesMax: Number.POSITIVE_INFINITY }
  }
  const policy = needed(fields, 'policy')
  const isFirst = fields.has('awsaccesskeyid') || fields.has('signature')
  const caller = isFirst ? await caller2(fields, policy, verifier) : await caller4(fields, policy, verifier)
  return { caller, ...checkPolicy(parsePostPolicy(policy), form, verifier.world.now()) }
}

function caller2(fields: ReadonlyMap<string, string>, policy: string, { identity }: Verifier): Promise<Caller> {
  const latter = marks.find((name) => name.startsWith('x-amz-') && fields.has(name))
  if (latter !== undefined) {
    throw new Fault('InvalidArgument', { message: 'Only one auth mechanism allowed', ArgumentName: latter })
  }
  return verify2(
    identity,
    needed(fields, 'awsaccesskeyid'),
    needed(fields, 'signature'),
    [Buffer.from(policy, 'utf8')],
    fields.get('x-amz-security-token'),
  )
}

async function caller4(fields: ReadonlyMap<string, string>, policy: string, verifier: Verifier): Promise<Caller> {
  if (needed(fields, 'x-amz-algorithm') !== algorithm) {
    throw new Fault('InvalidArgument', { message: `x-amz-algorithm only supports "${algorithm}"` })
  }
  const credential = parseCredential(needed(fields, 'x-amz-credential'))
  const date = needed(fields, 'x-amz-date')
  const signature = needed(fields, 'x-amz-signature')
  const time = parseAmzDate(date)
  if (credential === undefined || time === undefined || !date.startsWith(credential.date)) {
    throw new Fault('InvalidArgument', { message: 'x-amz-credential or x-amz-date is not valid, or they differ' })
  }
  if (!verifier.services.includes(credential.service)) throw new Fault('AccessDenied')
  if (time - verifier.world.now() > skewMax) throw new Fault('AccessDenied', { message: 'Request is not yet valid' })
  const found = await verifier.identity.findKey(credential.accessKeyId, fields.get('x-amz-security-token'))
  if (found === undefined || !found.key.isActive) {
    throw new Fault('InvalidAccessKeyId', { AWSAccessKeyId: credential.accessKeyId })
  }
  const key = verifier.keys.find(credential, found.key.secret)
  if (!isSameText(key.sign(policy), signature)) {
    throw new Fault('SignatureDoesNotMatch', {
      AWSAccessKeyId: credential.accessKeyId,
      StringToSign: policy,
      SignatureProvided: signature,
    })
  }
  verifier.keys.keep(credential, found.key.secret, key)
  return callerOf(found)
}
