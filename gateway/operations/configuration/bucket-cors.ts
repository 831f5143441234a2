import { operation } from '#gateway/operations/operation.ts'
import { all, malformed, optionalInteger, optionalText, texts, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { CorsRule } from '#src/model/bucket.ts'
import { changeBucket, done, gone, present, readBucket, readDocument } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html */
const rulesMax = 100
const idLengthMax = 255
const methods: ReadonlySet<string> = new Set(['GET', 'PUT', 'HEAD', 'POST', 'DELETE'])

export const getBucketCors = operation({
  name: 'GetBucketCors',
  match: { method: 'GET', scope: 'bucket', keys: ['cors'] },
  action: 's3:GetBucketCORS',
  decode: () => undefined,
  async run(_, context) {
    const bucket = await readBucket(context)
    return present(bucket.cors, 'NoSuchCORSConfiguration', bucket)
  },
  encode: (rules) => ({ status: 200, body: el('CORSConfiguration', ...rules.map(ruleElement)) }),
})

export const putBucketCors = operation({
  name: 'PutBucketCors',
  match: { method: 'PUT', scope: 'bucket', keys: ['cors'] },
  action: 's3:PutBucketCORS',

  async decode(request) {
    const rules = all(await readDocument(request, 'CORSConfiguration'), 'CORSRule')
    if (rules.length === 0 || rules.length > rulesMax) throw malformed()
    return rules.map(readRule)
  },

  run: (cors, context) => changeBucket(context, (bucket) => ({ ...bucket, cors })),
  encode: done,
})

export const deleteBucketCors = operation({
  name: 'DeleteBucketCors',
  match: { method: 'DELETE', scope: 'bucket', keys: ['cors'] },
  action: 's3:PutBucketCORS',
  decode: () => undefined,
  run: (_, context) => changeBucket(context, ({ cors: _cors, ...bucket }) => bucket),
  encode: gone,
})

const refused = (message: string): Fault => new Fault('InvalidRequest', { message })

function readRule(node: XmlNode): CorsRule {
  const id = optionalText(node, 'ID')
  const maxAgeSeconds = optionalInteger(node, 'MaxAgeSeconds', 0, 2 ** 31 - 1)
  const rule: CorsRule = {
    ...(id !== undefined && { id }),
    allowedOrigins: texts(node, 'AllowedOrigin'),
    allowedMethods: texts(node, 'AllowedMethod'),
    allowedHeaders: texts(node, 'AllowedHeader'),
    exposeHeaders: texts(node, 'ExposeHeader'),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  }
  if (rule.allowedOrigins.length === 0 || rule.allowedMethods.length === 0) throw malformed()
  if (id !== undefined && id.length > idLengthMax)
    throw refused(`The ID of a CORS rule has at most ${idLengthMax} characters.`)
  checkRule(rule)
  return rule
}

const wildcards = (text: string): number => text.split('*').length - 1

function checkRule({ allowedMethods, allowedOrigins, allowedHeaders, exposeHeaders }: CorsRule): void {
  for (const each of allowedMethods) {
    if (!methods.has(each)) {
      throw refused(`Found unsupported HTTP method in CORS config. Unsupported method is ${each}`)
    }
  }
  for (const [name, values] of [
    ['AllowedOrigin', allowedOrigins],
    ['AllowedHeader', allowedHeaders],
  ] as const) {
    const wrong = values.find((each) => wildcards(each) > 1)
    if (wrong !== undefined) throw refused(`${name} "${wrong}" can not have more than one wildcard.`)
  }
  const exposed = exposeHeaders.find((each) => wildcards(each) > 0)
  if (exposed !== undefined) {
    throw refused(`ExposeHeader "${exposed}" contains wildcard. We currently do not support wildcard for ExposeHeader.`)
  }
}

function ruleElement({ id, maxAgeSeconds, ...rule }: CorsRule): Xml {
  return el(
    'CORSRule',
    id === undefined ? undefined : el('ID', id),
    ...rule.allowedHeaders.map((each) => el('AllowedHeader', each)),
    ...rule.allowedMethods.map((each) => el('AllowedMethod', each)),
    ...rule.allowedOrigins.map((each) => el('AllowedOrigin', each)),
    ...rule.exposeHeaders.map((each) => el('ExposeHeader', each)),
    maxAgeSeconds === undefined ? undefined : el('MaxAgeSeconds', maxAgeSeconds),
  )
}
