import { refusalOf } from '#gateway/fly/faults.ts'
import { Fault } from '#src/errors.ts'
import { openAccountsAlone } from '#src/open/accounts.ts'
import type { Accounts } from '#src/service/accounts/open.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const needed = [...metadataSettings, 'keyFile', 'bucketsMax', 'publicUrl', 'host', 'port'] as const

/** Flags of every command about people and what they have. */
export const accountFlags = {
  ...flagsOf(needed),
  json: { type: 'boolean', description: 'print JSON' },
} as const

export type Args = Readonly<Record<string, unknown>>

export interface Opened extends Accounts {
  /** What programs reach the buckets at. */
  readonly endpoint: string
}

/** Where what is named wrongly is found. */
const hints = [
  ['organization', '`meridian organizations list` shows the short names of those there are'],
  ['app', '`meridian apps list` shows those of an organization'],
] as const

/** Also beside a server that runs on the same directory: it sees the change at its next request. */
export async function withAccounts<Result>(args: Args, body: (accounts: Opened) => Promise<Result>): Promise<Result> {
  const config = configOfUsed(needed, args)
  const { accounts, store } = await openAccountsAlone(config, realWorld)
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  try {
    return await body({ ...accounts, endpoint: config.publicUrl ?? `http://${host}:${config.port}` })
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    // In the same words as flyctl's users hear.
    const { message } = refusalOf(error).refusal
    const hint = hints.find(([what]) => error.code === 'NoSuchEntity' && message.includes(what))?.[1]
    throw new Error(hint === undefined ? message : `${message.replace(/\.$/, '')}: ${hint}`, { cause: error })
  } finally {
    await store.close()
  }
}

/** A flag that is a text, or undefined. */
export const textFlag = (description: string, valueHint: string) =>
  ({ type: 'string', description, valueHint }) as const

export const neededFlag = (description: string, valueHint: string) =>
  ({ type: 'string', description, valueHint, required: true }) as const
