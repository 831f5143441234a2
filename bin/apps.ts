import { rename, rm, writeFile } from 'node:fs/promises'
import { defineCommand } from 'citty'
import { sendSecrets } from '#gateway/fly/send-secrets.ts'
import { envFile, kubernetesSecret } from '#src/model/app.ts'
import { accountFlags, neededFlag, textFlag, withAccounts } from './accounts-beside.ts'
import { isoTime, output, printRow, printRows } from './printing.ts'

const app = neededFlag('name of the app', 'app')

const create = defineCommand({
  meta: { name: 'create', description: 'Make an app: a name that secrets are kept under' },
  args: { ...accountFlags, name: app, organization: neededFlag('short name or id of its organization', 'name') },
  run: ({ args }) =>
    withAccounts(args, async ({ apps, organizations }) => {
      const { id, slug } = await organizations.get(args.organization)
      const made = await apps.create(id, args.name)
      printRow({ name: made.name, organization: slug }, args.json)
    }),
})

const list = defineCommand({
  meta: { name: 'list', description: 'List the apps of an organization, and the names of their secrets' },
  args: { ...accountFlags, organization: neededFlag('its short name or id', 'name') },
  run: ({ args }) =>
    withAccounts(args, async ({ apps, organizations }) => {
      const { id } = await organizations.get(args.organization)
      const rows = (await apps.list(id)).map(({ name, created, secrets }) => ({
        name,
        created: isoTime(created),
        secrets: Object.keys(secrets).join(','),
      }))
      printRows(rows, args.json)
    }),
})

const remove = defineCommand({
  meta: { name: 'delete', description: 'Delete an app that has no bucket, and its secrets' },
  args: { ...accountFlags, name: app },
  run: ({ args }) => withAccounts(args, ({ apps }) => apps.delete(args.name)),
})

/** Readable by its owner alone, and whole or not there. */
async function writePrivate(file: string, text: string): Promise<void> {
  const beside = `${file}.${process.pid}.tmp`
  try {
    await writeFile(beside, text, { mode: 0o600, flag: 'wx' })
    await rename(beside, file)
  } finally {
    await rm(beside, { force: true })
  }
}

const deliver = defineCommand({
  meta: { name: 'deliver', description: "Hand an app's secrets to where it runs" },
  args: {
    ...accountFlags,
    name: app,
    to: neededFlag('env-file, kubernetes or fly', 'where'),
    file: textFlag('file to write, for env-file and kubernetes; `-`: standard output', 'file'),
    namespace: { ...textFlag('for kubernetes', 'name'), default: 'default' },
    'fly-app': textFlag('for fly: what the app is called there; default: the same', 'app'),
    'fly-api': { ...textFlag('for fly: its API', 'url'), default: 'https://api.fly.io' },
  },
  run: ({ args }) =>
    withAccounts(args, async ({ apps }) => {
      const secrets = await apps.openSecrets(args.name)
      if (args.to === 'fly') {
        // A flag would show it to everybody who may list processes.
        const token = process.env['FLY_API_TOKEN']
        if (token === undefined || token === '') throw new Error('FLY_API_TOKEN has to be set')
        await sendSecrets({ api: args['fly-api'], token, app: args['fly-app'] ?? args.name, secrets })
        return
      }
      if (args.to !== 'env-file' && args.to !== 'kubernetes') throw new Error('--to is env-file, kubernetes or fly')
      const text =
        args.to === 'env-file' ? envFile(secrets) : kubernetesSecret(`${args.name}-secrets`, args.namespace, secrets)
      if (args.file === undefined) throw new Error('--file says where to write; - is standard output')
      if (args.file === '-') output.write(text)
      else await writePrivate(args.file, text)
    }),
})

export const appsCommand = defineCommand({
  meta: { name: 'apps', description: 'Apps and the secrets that wait for them' },
  subCommands: { create, list, delete: remove, deliver },
})
