import type { Bucket } from './bucket.ts'
import { resourceVerdict } from './policy.ts'
import { type Policy, parseTopicPolicy } from './policy-document.ts'
import type { Requester } from './policy-principals.ts'
import { type Topic, topicArn } from './topic.ts'

const silent: Policy = { statements: [], readsExistingTags: false }

/** Without one, the owner's account alone may. */
export function policyOf(topic: Topic): Policy {
  const text = topic.attributes['Policy']
  return text === undefined ? silent : parseTopicPolicy(text, topicArn(topic))
}

/** Who let a bucket tell a topic: what policies name, or an administrator, whom no policy needs to. */
export type Publisher = Pick<Requester, 'accountId' | 'arns'> | 'administrator'

/** Where a message comes from. */
export interface Source {
  readonly bucket: string
  /** Of the bucket. */
  readonly owner: string
  readonly publisher: Publisher
}

export const sourceOf = ({ name, owner }: Bucket, publisher: Publisher): Source => ({ bucket: name, owner, publisher })

const s3: Requester = { accountId: undefined, arns: [], service: 's3.amazonaws.com' }

/**
 * H10  a topic takes from a bucket what its policy lets S3 itself, or who put the bucket's configuration, publish; as it is when
 *      the message comes, whatever it was when the configuration was put.
 */
export function takesFrom(topic: Topic, { bucket, owner, publisher }: Source): boolean {
  const policy = policyOf(topic)
  const values = {
    get: (name: string) => {
      if (name === 'aws:sourcearn') return [`arn:aws:s3:::${bucket}`]
      return name === 'aws:sourceaccount' || name === 'aws:sourceowner' ? [owner] : undefined
    },
  }
  const verdictFor = (requester: Requester) =>
    resourceVerdict(policy, { requester, action: 'sns:publish', resource: topicArn(topic), values })
  const byService = verdictFor(s3)
  if (byService === 'deny') return false
  if (byService === 'exactly' || publisher === 'administrator') return true
  const byPublisher = verdictFor(publisher)
  if (byPublisher === 'deny') return false
  return publisher.accountId === topic.owner || byPublisher !== undefined
}
