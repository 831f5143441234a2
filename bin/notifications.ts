import { defineCommand } from 'citty'
import type { Setting } from '#src/config/load.ts'
import { DataDirectoryError } from '#src/data-directory.ts'
import { openDeadLetters, openMessageKeys } from '#src/open/beside.ts'
import type { DeadLetters, LettersOf } from '#src/service/dead-letters.ts'
import { fingerprintOf } from '#src/service/message-keys.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const keySettings: readonly Setting[] = [...metadataSettings, 'keyFile']

const shared = {
  ...flagsOf(metadataSettings),
  user: { type: 'string', description: 'of topics of this account only', valueHint: 'id' },
  topic: { type: 'string', description: 'of this topic of it only', valueHint: 'name' },
  json: { type: 'boolean', description: 'print JSON' },
} as const

type Shared = Readonly<Partial<Record<string, unknown>>> & {
  readonly user?: string | undefined
  readonly topic?: string | undefined
  readonly json?: boolean | undefined
}

const told = (letters: number, { json }: Shared): void =>
  print(json === true ? JSON.stringify({ letters }) : `${letters}`)

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** Also beside a server that runs on the same directory. */
async function withLetters(args: Shared, body: (letters: DeadLetters, of: LettersOf) => Promise<void>): Promise<void> {
  const { user, topic } = args
  if (topic !== undefined && user === undefined) {
    throw new DataDirectoryError('topics have names within an account: say whose, with --user')
  }
  const { letters, store } = await openDeadLetters(configOfUsed(metadataSettings, args), realWorld)
  try {
    await body(letters, { ...(user !== undefined && { owner: user }), ...(topic !== undefined && { topic }) })
  } finally {
    await store.close()
  }
}

const listLetters = defineCommand({
  meta: { name: 'list', description: 'List notifications that were given up, one JSON object a line' },
  args: shared,
  run: ({ args }) =>
    withLetters(args, async (letters, of) => {
      for await (const { topic, target, message, attempts, reason, time } of letters.list(of)) {
        const line = {
          user: topic.owner,
          topic: topic.name,
          ...(target !== undefined && target.subscription !== '' && { subscription: target.subscription }),
          id: message.id,
          published: new Date(message.time).toISOString(),
          givenUp: new Date(time).toISOString(),
          attempts,
          reason,
          message: message.text,
        }
        print(JSON.stringify(line))
      }
    }),
})

const retryLetters = defineCommand({
  meta: { name: 'retry', description: 'Try them again, from the beginning' },
  args: shared,
  run: ({ args }) => withLetters(args, async (letters, of) => told(await letters.retry(of), args)),
})

const deleteLetters = defineCommand({
  meta: { name: 'delete', description: 'Forget them for good' },
  args: shared,
  run: ({ args }) => withLetters(args, async (letters, of) => told(await letters.delete(of), args)),
})

const deadLetters = defineCommand({
  meta: { name: 'dead-letters', description: 'List, retry and delete notifications that were given up' },
  subCommands: { list: listLetters, retry: retryLetters, delete: deleteLetters },
})

const rotateKey = defineCommand({
  meta: { name: 'rotate-key', description: 'Sign notifications with a new key from now on, and print its fingerprint' },
  args: { ...flagsOf(keySettings), json: { type: 'boolean', description: 'print JSON' } },
  async run({ args }) {
    const config = configOfUsed(keySettings, args)
    const { keys, store } = await openMessageKeys(config, realWorld)
    try {
      const fingerprint = fingerprintOf(await keys.rotate())
      print(args.json === true ? JSON.stringify({ fingerprint }) : fingerprint)
    } finally {
      await store.close()
    }
  },
})

export const notificationsCommand = defineCommand({
  meta: { name: 'notifications', description: 'Look after the notifications of buckets and topics' },
  subCommands: { 'dead-letters': deadLetters, 'rotate-key': rotateKey },
})
