import { type Operation, operation, type S3Request } from '#gateway/operations/operation.ts'
import { type ConfigurationForm, configurationForms } from '#gateway/wire/configuration-shapes.ts'
import { decodeToken, encodeToken } from '#gateway/wire/continuation-token.ts'
import { conform } from '#gateway/xml/conform.ts'
import { parseXml, text } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { isConfigurationId } from '#src/model/configurations.ts'
import { done, gone, readBody } from './setting.ts'

/**
 * Settings of which a bucket can have many, each under an id: checked, kept, and told as they were put. Nothing is reported
 * or moved because of them.
 */
const pageMost = 100
const documentBytesMax = 64 * 1024

const match = (method: 'GET' | 'PUT' | 'DELETE', ...keys: readonly string[]) =>
  ({ method, scope: 'bucket', keys }) as const

const invalidId = (id: string): Fault =>
  new Fault('InvalidArgument', { message: 'Invalid Configuration ID', ArgumentName: 'id', ArgumentValue: id })

function idOf({ query }: S3Request): string {
  const id = query.get('id') ?? ''
  if (!isConfigurationId(id)) throw invalidId(id)
  return id
}

/** Kept as what is rendered again, on its own or in a list. */
const keep = (document: Xml): string => JSON.stringify(document)
const kept = (document: string): Xml => JSON.parse(document) as Xml

const ofOne = ({ kind, name }: ConfigurationForm): readonly Operation[] => [
  operation({
    name: `GetBucket${name}Configuration`,
    match: match('GET', kind, 'id'),
    action: `s3:Get${name}Configuration`,
    decode: idOf,
    run: (id, { services, guard, request }) => services.configurations.get({ bucket: request.bucket, kind, id, guard }),
    encode: (document) => ({ status: 200, body: kept(document) }),
  }),
  operation({
    name: `DeleteBucket${name}Configuration`,
    match: match('DELETE', kind),
    action: `s3:Put${name}Configuration`,
    decode: idOf,
    run: (id, { services, guard, request }) =>
      services.configurations.delete({ bucket: request.bucket, kind, id, guard }),
    encode: gone,
  }),
]

const putting = ({ kind, name, root, shape }: ConfigurationForm): Operation =>
  operation({
    name: `PutBucket${name}Configuration`,
    match: match('PUT', kind),
    action: `s3:Put${name}Configuration`,

    async decode(request) {
      const id = idOf(request)
      const node = parseXml(await readBody(request, documentBytesMax), root)
      const document = conform(node, shape)
      if (text(node, 'Id') !== id) throw invalidId(text(node, 'Id'))
      return { id, document: keep(document) }
    },

    run: (put, { services, guard, request }) =>
      services.configurations.put({ bucket: request.bucket, kind, guard, ...put }),
    encode: done,
  })

const listing = ({ kind, name, list }: ConfigurationForm): Operation =>
  operation({
    name: `ListBucket${name}Configurations`,
    match: match('GET', kind),
    action: `s3:Get${name}Configuration`,

    decode({ query }) {
      const token = query.get('continuation-token')
      return token === undefined ? {} : { token, after: decodeToken(token) }
    },

    async run({ token, after }, { services, guard, request }) {
      const asked = { bucket: request.bucket, kind, guard, after, limit: pageMost }
      return { token, found: (await services.configurations.list(asked)).map(kept) }
    },

    encode({ token, found }) {
      const items = found.slice(0, pageMost)
      const last = found.length > items.length ? items.at(-1) : undefined
      const next = last === undefined ? undefined : el('NextContinuationToken', encodeToken(idIn(last)))
      const head = [
        el('IsTruncated', last !== undefined),
        token === undefined ? undefined : el('ContinuationToken', token),
        next,
      ]
      return { status: 200, body: el(list, ...head, ...items) }
    },
  })

function idIn({ children }: Xml): string {
  const id = children.find((each) => typeof each === 'object' && each.name === 'Id')
  return typeof id === 'object' ? String(id.children[0]) : ''
}

export const bucketConfigurations: readonly Operation[] = configurationForms.flatMap((form) => [
  ...ofOne(form),
  putting(form),
  listing(form),
])
