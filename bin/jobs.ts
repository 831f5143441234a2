import { defineCommand } from 'citty'
import { openStore } from '#src/open/store.ts'
import { OutboxJobs, type WaitingJob } from '#src/service/outbox-jobs.ts'
import { realWorld } from '#src/world.ts'
import { output } from './printing.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const shared = flagsOf(metadataSettings)

const chosen = {
  ...shared,
  id: { type: 'string', description: 'which, as `list` names it; default: all that are dead', valueHint: 'id' },
  kind: { type: 'string', description: 'of one kind only', valueHint: 'kind' },
  json: { type: 'boolean', description: 'print JSON' },
} as const

type Args = Readonly<Record<string, unknown>>

/** Also beside a server that runs, whatever its queue is: the queue only reminds it of what is here. */
async function withJobs(args: Args, body: (jobs: OutboxJobs) => Promise<void>): Promise<void> {
  const { store } = await openStore(configOfUsed(metadataSettings, args), realWorld)
  try {
    await body(new OutboxJobs({ store, world: realWorld }))
  } finally {
    await store.close()
  }
}

const dateOf = (milliseconds: number): string => new Date(milliseconds).toISOString()

function lineOf({ id, kind, payload, attempts, due, isDead, reason }: WaitingJob): string {
  const state = isDead ? 'dead' : `due ${dateOf(due)}`
  return [id, kind, JSON.stringify(payload), state, `${attempts} attempts`, reason].join('\t')
}

const list = defineCommand({
  meta: { name: 'list', description: 'List the jobs of this region that wait, and those that were given up, with why' },
  args: {
    ...shared,
    dead: { type: 'boolean', description: 'only those that were given up' },
    json: { type: 'boolean', description: 'print a line of JSON for each' },
  },
  run: ({ args }) =>
    withJobs(args, async (jobs) => {
      for await (const job of jobs.list(args.dead === true)) {
        const { added, due, ...rest } = job
        const line =
          args.json === true ? JSON.stringify({ ...rest, added: dateOf(added), due: dateOf(due) }) : lineOf(job)
        output.write(`${line}\n`)
      }
    }),
})

const which = ({ id, kind }: Args) => ({
  ...(typeof id === 'string' && { id }),
  ...(typeof kind === 'string' && { kind }),
})

const told = (jobs: number, what: string, { json }: Args): void =>
  output.write(json === true ? `${JSON.stringify({ jobs })}\n` : `${jobs} ${what}\n`)

const retry = defineCommand({
  meta: { name: 'retry', description: 'Have jobs that were given up done after all, or one that waits done at once' },
  args: chosen,
  run: ({ args }) =>
    withJobs(args, async (jobs) => {
      told(await jobs.retry(which(args)), 'jobs are tried again', args)
    }),
})

const discard = defineCommand({
  meta: {
    name: 'discard',
    description: 'Forget jobs that were given up, or one that waits: what it was to do is not done',
  },
  args: chosen,
  run: ({ args }) =>
    withJobs(args, async (jobs) => {
      told(await jobs.discard(which(args)), 'jobs were forgotten', args)
    }),
})

export const jobsCommand = defineCommand({
  meta: { name: 'jobs', description: 'Jobs of a region: what it has yet to do, and what it gave up' },
  subCommands: { list, retry, discard },
})
