import { defineCommand } from 'citty'
import { parseRole, type Quota } from '#src/model/organization.ts'
import { accountFlags, neededFlag, textFlag, withAccounts } from './accounts-beside.ts'
import { isoTime, printRow, printRows } from './printing.ts'

const organization = neededFlag('its short name or id', 'name')

const create = defineCommand({
  meta: { name: 'create', description: 'Make an organization, whose people share buckets' },
  args: {
    ...accountFlags,
    name: neededFlag('what it is called', 'name'),
    slug: textFlag('its short name; default: made of its name', 'name'),
    owner: textFlag('address of the person that owns it', 'address'),
  },
  run: ({ args }) =>
    withAccounts(args, async ({ organizations, people }) => {
      const owner = args.owner === undefined ? undefined : (await people.get(args.owner)).id
      const { id, slug, name } = await organizations.create({
        name: args.name,
        ...(args.slug !== undefined && { slug: args.slug }),
        ...(owner !== undefined && { owner }),
      })
      printRow({ id, slug, name }, args.json)
    }),
})

const list = defineCommand({
  meta: { name: 'list', description: 'List organizations' },
  args: accountFlags,
  run: ({ args }) =>
    withAccounts(args, async ({ organizations }) => {
      const rows = (await organizations.list()).map(({ id, slug, name, created, quota }) => ({
        slug,
        name,
        id,
        created: isoTime(created),
        buckets: quota?.buckets,
        bytes: quota?.bytes,
      }))
      printRows(rows, args.json)
    }),
})

const members = defineCommand({
  meta: { name: 'members', description: 'List who is in an organization' },
  args: { ...accountFlags, organization },
  run: ({ args }) =>
    withAccounts(args, async ({ organizations }) => {
      const all = await organizations.members(args.organization)
      printRows(
        all.map(({ person, role }) => ({ email: person.email, role, name: person.name, id: person.id })),
        args.json,
      )
    }),
})

const role = defineCommand({
  meta: { name: 'role', description: 'Make somebody a member, or give a member another role' },
  args: {
    ...accountFlags,
    organization,
    email: neededFlag('of the person', 'address'),
    role: neededFlag('owner, admin, member or read-only', 'role'),
  },
  run: ({ args }) =>
    withAccounts(args, async ({ organizations, people }) => {
      const { id } = await people.get(args.email)
      await organizations.setRole(args.organization, id, parseRole(args.role))
    }),
})

function amount(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new Error(`${flag} is a whole number`)
}

const quota = defineCommand({
  meta: { name: 'quota', description: 'Set what an organization may have at most; what is not given is without limit' },
  args: {
    ...accountFlags,
    organization,
    buckets: textFlag('how many buckets', 'number'),
    bytes: textFlag('how many bytes, of all its objects', 'number'),
  },
  run: ({ args }) =>
    withAccounts(args, async ({ organizations }) => {
      const [buckets, bytes] = [amount('--buckets', args.buckets), amount('--bytes', args.bytes)]
      const wanted: Quota = { ...(buckets !== undefined && { buckets }), ...(bytes !== undefined && { bytes }) }
      await organizations.setQuota(args.organization, wanted)
    }),
})

const remove = defineCommand({
  meta: { name: 'delete', description: 'Delete an organization that has no buckets and no apps' },
  args: { ...accountFlags, organization },
  run: ({ args }) => withAccounts(args, ({ organizations }) => organizations.delete(args.organization)),
})

export const organizationsCommand = defineCommand({
  meta: { name: 'organizations', description: 'Organizations, their members and limits' },
  subCommands: { create, list, members, role, quota, delete: remove },
})
