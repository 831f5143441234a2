import { type Context, operation } from '#gateway/operations/operation.ts'
import { ownerElement } from '#gateway/wire/acl-document.ts'
import { decodeToken, encodeToken } from '#gateway/wire/continuation-token.ts'
import { formatIsoDate } from '#gateway/wire/http-date.ts'
import { integerArgument } from '#gateway/wire/integer.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Page } from '#src/service/page.ts'
import { regionOf } from './bucket-region.ts'

/** AWS's own limit of a page, also where none is asked for. */
const pageMax = 10_000

interface Question {
  readonly prefix: string
  readonly token: string | undefined
  readonly region: string | undefined
  readonly limit: number
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html */
export const listBuckets = operation({
  name: 'ListBuckets',
  match: { method: 'GET', scope: 'service' },
  action: 's3:ListAllMyBuckets',

  decode({ query }): Question {
    const limit = query.get('max-buckets')
    return {
      prefix: query.get('prefix') ?? '',
      token: query.get('continuation-token') || undefined,
      region: query.get('bucket-region') || undefined,
      limit: limit === undefined ? pageMax : integerArgument('max-buckets', limit, 1, pageMax),
    }
  },

  async run(question, context) {
    const { caller } = context
    // Nobody has no buckets to be shown.
    if (caller.kind === 'anonymous') throw new Fault('AccessDenied')
    return { question, account: caller.account, page: await pageOf(question, caller.account.id, context) }
  },

  encode: ({ question, account, page }) => ({
    status: 200,
    body: el(
      'ListAllMyBucketsResult',
      ownerElement('Owner', account),
      el('Buckets', ...page.items.map(bucketElement)),
      question.prefix === '' ? undefined : el('Prefix', question.prefix),
      page.next === undefined ? undefined : el('ContinuationToken', encodeToken(page.next)),
    ),
  }),
})

const bucketElement = (bucket: Bucket) =>
  el(
    'Bucket',
    el('Name', bucket.name),
    el('CreationDate', formatIsoDate(bucket.created)),
    el('BucketRegion', regionOf(bucket)),
  )

/** Of one region, where it is asked for: other buckets are passed over, and do not count. */
async function pageOf(question: Question, owner: string, { services }: Context): Promise<Page<Bucket>> {
  const { prefix, region, limit, token } = question
  const items: Bucket[] = []
  let after = token === undefined ? undefined : decodeToken(token)
  for (;;) {
    const asked = region === undefined ? limit - items.length : pageMax
    const page = await services.buckets.list(owner, { prefix, limit: asked, ...(after !== undefined && { after }) })
    for (const bucket of page.items) {
      if (region !== undefined && regionOf(bucket) !== region) continue
      const last = items.at(-1)
      if (items.length === limit && last !== undefined) return { items, next: last.name }
      items.push(bucket)
    }
    if (page.next === undefined) return { items }
    if (region === undefined) return { items, next: page.next }
    after = page.next
  }
}
