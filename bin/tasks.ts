import { defineCommand } from 'citty'
import { openTasks } from '#src/open/beside.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

/** Also beside a server that runs on the same directory. */
const listTasks = defineCommand({
  meta: { name: 'list', description: 'List work for cloud tiers and replication that waits, one JSON object a line' },
  args: { ...flagsOf(metadataSettings), json: { type: 'boolean', description: 'print JSON, as it does anyhow' } },
  async run({ args }) {
    const { tasks, store } = await openTasks(configOfUsed(metadataSettings, args), realWorld)
    try {
      for await (const { since, due, ...task } of tasks()) {
        const times = { ...(since > 0 && { since: new Date(since).toISOString() }), due: new Date(due).toISOString() }
        process.stdout.write(`${JSON.stringify({ ...task, ...times })}\n`)
      }
    } finally {
      await store.close()
    }
  },
})

export const tasksCommand = defineCommand({
  meta: { name: 'tasks', description: 'See the work for cloud tiers and replication that waits, and why' },
  subCommands: { list: listTasks },
})
