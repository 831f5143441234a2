import { resolve } from 'node:path'
import { defineCommand } from 'citty'
import { deliver, secretsText } from '#gateway/fly/deliver.ts'
import { sendSecrets } from '#gateway/fly/send-secrets.ts'
import type { SecretPlace } from '#src/model/app.ts'
import { accountFlags, neededFlag, textFlag, withAccounts } from './accounts-beside.ts'
import { isoTime, output, printRow, printRows } from './printing.ts'

const app = neededFlag('name of the app', 'app')
const namespace = { ...textFlag('for kubernetes', 'name'), default: 'default' } as const

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

const deliverCommand = defineCommand({
  meta: { name: 'deliver', description: "Hand an app's secrets to where it runs" },
  args: {
    ...accountFlags,
    name: app,
    to: neededFlag('env-file, kubernetes or fly', 'where'),
    file: textFlag('file to write, for env-file and kubernetes; `-`: standard output', 'file'),
    namespace,
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
      const place = placeOf(args)
      if (place.file === '-') output.write(secretsText(args.name, place, secrets))
      else await deliver(args.name, place, secrets)
    }),
})

function placeOf({ to, file, namespace }: { to: string; file?: string | undefined; namespace: string }): SecretPlace {
  if (to !== 'env-file' && to !== 'kubernetes') throw new Error('--to is env-file, kubernetes or fly')
  if (file === undefined) throw new Error('--file says where to write; - is standard output')
  return { to, file, namespace }
}

const addMachine = defineCommand({
  meta: {
    name: 'add',
    description: 'Say where an app runs: its secrets go there whenever flyctl sets or deploys them',
  },
  args: {
    ...accountFlags,
    name: app,
    to: neededFlag('env-file or kubernetes', 'where'),
    file: neededFlag('file to write, on the machine that serves --fly-port', 'file'),
    namespace,
  },
  run: ({ args }) =>
    withAccounts(args, async ({ apps, machines }) => {
      const place = { ...placeOf(args), file: resolve(args.file) }
      const made = await machines.add(args.name, place)
      // What it has by now.
      await deliver(args.name, place, await apps.openSecrets(args.name))
      printRow({ id: made.id, to: place.to, file: place.file }, args.json)
    }),
})

const listMachines = defineCommand({
  meta: { name: 'list', description: 'List where an app runs' },
  args: { ...accountFlags, name: app },
  run: ({ args }) =>
    withAccounts(args, async ({ apps }) => {
      const { machines = [] } = await apps.get(args.name)
      const rows = machines.map(({ id, place, deliveries, updated }) => ({
        id,
        to: place.to,
        file: place.file,
        deliveries: String(deliveries),
        updated: isoTime(updated),
      }))
      printRows(rows, args.json)
    }),
})

const removeMachine = defineCommand({
  meta: { name: 'remove', description: 'Deliver no more secrets there; what was delivered stays' },
  args: { ...accountFlags, name: app, id: neededFlag('which, as `list` has it', 'id') },
  run: ({ args }) => withAccounts(args, ({ machines }) => machines.remove(args.name, args.id)),
})

const machinesCommand = defineCommand({
  meta: { name: 'machines', description: 'Where apps run, which are machines to flyctl' },
  subCommands: { add: addMachine, list: listMachines, remove: removeMachine },
})

export const appsCommand = defineCommand({
  meta: { name: 'apps', description: 'Apps and the secrets that wait for them' },
  subCommands: { create, list, delete: remove, deliver: deliverCommand, machines: machinesCommand },
})
