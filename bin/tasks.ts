import { defineCommand } from 'citty'
import { describeSetting, loadConfig } from '#src/config/load.ts'
import { DataDirectory, DataDirectoryError } from '#src/data-directory.ts'
import { openTasks } from '#src/open-beside.ts'
import { realWorld } from '#src/world.ts'

const shared = {
  data: {
    type: 'string',
    description: `${describeSetting('data').description} (MERIDIAN_DATA; default ${describeSetting('data').fallback})`,
    valueHint: 'directory',
  },
} as const

/** Also beside a server that runs on the same directory. */
const listTasks = defineCommand({
  meta: { name: 'list', description: 'List work for cloud tiers and replication that waits, one JSON object a line' },
  args: shared,
  async run({ args }) {
    const { data } = loadConfig({ data: args.data }, { MERIDIAN_DATA: process.env['MERIDIAN_DATA'] })
    const directory = new DataDirectory(data)
    if (!directory.exists())
      throw new DataDirectoryError(`${data} is not a data directory: start \`meridian serve\` once`)
    directory.prepare()
    const { tasks, store } = await openTasks(directory, realWorld)
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
