import { GraphQLError } from 'graphql'
import { type FlyRequest, Refusal } from '#gateway/fly/exchange.ts'
import { refusalOf } from '#gateway/fly/faults.ts'
import type { FlyParts } from '#gateway/fly/parts.ts'
import { Fault } from '#src/errors.ts'
import type { App } from '#src/model/app.ts'
import type { SignedIn } from '#src/service/accounts/tokens.ts'

/** Several may come, with commas between: any that is somebody's will do. */
const tokensMost = 8

/** Who sent the request, by the token in its header; undefined: nobody who is known. */
export async function whoAsks({ accounts }: FlyParts, { headers }: FlyRequest): Promise<SignedIn | undefined> {
  const header = (headers['authorization'] ?? '').replace(/^(Bearer|FlyV1)\s+/i, '')
  const words = header.split(',', tokensMost).map((each) => each.trim())
  for (const word of words) {
    const found = word === '' ? undefined : await accounts.tokens.authenticate(word)
    // A browser's session is no program's token.
    if (found?.token.kind === 'token') return found
  }
  return undefined
}

/** Whoever sent a request that is none of GraphQL. Refusal 401 where nobody is known. */
export async function signedIn(parts: FlyParts, request: FlyRequest): Promise<SignedIn> {
  const who = await whoAsks(parts, request)
  if (who === undefined) throw new Refusal(401, 'unauthorized', 'The request has no token that is known here.')
  return who
}

/** One request of GraphQL. */
export interface Asking {
  readonly who: SignedIn | undefined
  /** How many buckets the answer lists so far. */
  listed: number
}

/** Lists nest in each other, and each bucket is looked up: a few words could ask for more than can ever be answered. */
const listedMost = 20_000

/** Throws where an answer would list more than so many buckets. */
export function countListed(asking: Asking, count: number): void {
  asking.listed += count
  if (asking.listed > listedMost) {
    throw new GraphQLError(`An answer lists at most ${listedMost} buckets.`, { extensions: { code: 'LIMIT_EXCEEDED' } })
  }
}

export const unauthorized = (): GraphQLError =>
  new GraphQLError('You must be signed in: `fly auth login`, or FLY_API_TOKEN.', {
    extensions: { code: 'UNAUTHORIZED' },
  })

export function needed({ who }: Asking): SignedIn {
  if (who === undefined) throw unauthorized()
  return who
}

const noApp = (): Fault => new Fault('NoSuchEntity', { message: 'There is no such app.' })

/** An app with which they may do that; whoever is not in its organisation hears that there is none. */
export async function appOf(
  { accounts }: FlyParts,
  who: SignedIn,
  name: string,
  action: 'apps:read' | 'apps:change',
): Promise<App> {
  try {
    const app = await accounts.apps.get(name)
    await accounts.organizations.authorize(who, app.organization, action)
    return app
  } catch (error) {
    throw error instanceof Fault && error.code === 'NoSuchEntity' ? noApp() : error
  }
}

/** What a client of GraphQL is told; `isBug`: it has to be logged. */
export function graphqlErrorOf(thrown: unknown): { readonly error: GraphQLError; readonly isBug: boolean } {
  if (thrown instanceof GraphQLError) return { error: thrown, isBug: false }
  const { refusal, isBug } = refusalOf(thrown)
  const code = refusal.code.toUpperCase()
  return { error: new GraphQLError(refusal.message, { extensions: { code } }), isBug }
}
