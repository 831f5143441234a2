import type { Asked, Resource } from '#gateway/console/resource.ts'
import { Fault } from '#src/errors.ts'
import { isAdministrator } from '#src/service/access.ts'
import type { LettersOf } from '#src/service/dead-letters.ts'

const listedMost = 100

/** Administrators see those of all accounts; an account its own; its users and roles none. */
function whose({ caller }: Asked): LettersOf {
  if (isAdministrator(caller)) return {}
  const { principal, account } = caller
  if (principal !== undefined && principal.kind !== 'root') throw new Fault('AccessDenied')
  return { owner: account.id }
}

function topicOf({ body }: Asked): { readonly topic?: string } {
  const { topic } = body
  if (topic === undefined) return {}
  if (typeof topic !== 'string' || topic === '') throw new Fault('InvalidArgument', { message: 'topic is a text' })
  return { topic }
}

/** Notifications that were given up in this region. */
export const listLetters: Resource = {
  method: 'GET',
  path: 'letters',
  audience: 'each',
  run: async (asked, { letters }) => {
    const found = []
    for await (const { topic, message, attempts, reason, time } of letters.list(whose(asked))) {
      found.push({ topic: topic.name, account: topic.owner, subject: message.subject, attempts, reason, time })
      if (found.length === listedMost) break
    }
    return { letters: found, isAll: found.length < listedMost }
  },
}

export const retryLetters: Resource = {
  method: 'POST',
  path: 'letters/retry',
  audience: 'each',
  run: async (asked, { letters }) => ({ letters: await letters.retry({ ...whose(asked), ...topicOf(asked) }) }),
}

export const deleteLetters: Resource = {
  method: 'POST',
  path: 'letters/delete',
  audience: 'each',
  run: async (asked, { letters }) => ({ letters: await letters.delete({ ...whose(asked), ...topicOf(asked) }) }),
}
