import { defineCommand } from 'citty'
import { type AskedOptions, type Provisioned, parseOptions } from '#src/model/provision.ts'
import { variablesOf } from '#src/model/variables.ts'
import { type Args, accountFlags, neededFlag, type Opened, textFlag, withAccounts } from './accounts-beside.ts'
import { isoTime, printRow, printRows } from './printing.ts'

const organization = neededFlag('short name or id of the organization', 'name')
const name = neededFlag('of the bucket', 'bucket')

const optionFlags = {
  public: { type: 'boolean', description: 'everybody may read its objects' },
  private: { type: 'boolean', description: 'nobody may but by a key' },
  accelerate: { type: 'boolean', description: 'copy objects to all regions as they are written' },
  'no-accelerate': { type: 'boolean', description: 'copy them where they are read' },
  domain: textFlag('a host name of its own; `none`: no longer one', 'host'),
} as const

/** By the names that Fly's programs use, so that both are judged alike. */
function optionsOf(args: Args): AskedOptions {
  const either = (yes: string, no: string): boolean | undefined => {
    if (args[yes] === true && args[no] === true) throw new Error(`--${yes} or --${no}, not both`)
    return args[yes] === true ? true : args[no] === true ? false : undefined
  }
  const domain = args['domain']
  return parseOptions({
    public: either('public', 'private'),
    accelerate: either('accelerate', 'no-accelerate'),
    ...(typeof domain === 'string' && { website: { domain_name: domain === 'none' ? '' : domain } }),
  })
}

const shown = ({ id, bucket, accessKeyId, options, created }: Provisioned) => {
  const { isPublic, isAccelerated, domain, shadow } = options
  return {
    name: bucket,
    id,
    public: isPublic,
    accelerate: isAccelerated,
    domain,
    shadow: shadow && `${shadow.endpoint}/${shadow.name}`,
    accessKey: accessKeyId,
    created: isoTime(created),
  }
}

const create = defineCommand({
  meta: { name: 'create', description: 'Make a bucket with a key of its own, which is shown this once' },
  args: {
    ...accountFlags,
    organization,
    name: textFlag('of the bucket; default: by chance', 'bucket'),
    ...optionFlags,
  },
  run: ({ args }) =>
    withAccounts(args, async ({ organizations, provisioning, endpoint }) => {
      const { id } = await organizations.get(args.organization)
      const { provisioned, key } = await provisioning.provision({
        organization: id,
        ...(args.name !== undefined && { name: args.name }),
        options: optionsOf(args),
        asked: '',
      })
      printRow(variablesOf(provisioned.bucket, key, endpoint), args.json)
    }),
})

const list = defineCommand({
  meta: { name: 'list', description: 'List buckets that were made with a key of their own' },
  args: { ...accountFlags, organization: textFlag('of this organization only', 'name') },
  run: ({ args }) =>
    withAccounts(args, async ({ organizations, provisioning }) => {
      const slugs = new Map((await organizations.list()).map(({ id, slug }) => [id, slug]))
      const within = args.organization === undefined ? undefined : (await organizations.get(args.organization)).id
      const rows = (await provisioning.list(within)).map((each) => ({
        name: each.bucket,
        organization: slugs.get(each.organization),
        public: each.options.isPublic,
        created: isoTime(each.created),
      }))
      printRows(rows, args.json)
    }),
})

/** Names of buckets are everybody's, so the organisation need not be said. */
async function find({ provisioning }: Opened, bucket: string): Promise<Provisioned> {
  const all = (await provisioning.list()).filter((each) => each.bucket === bucket)
  const standing = await Promise.all(all.map(async (each) => ((await provisioning.bucketOf(each)) ? each : undefined)))
  const found = standing.find((each) => each !== undefined) ?? all[0]
  if (found !== undefined) return found
  throw new Error(`no bucket ${bucket} was made by \`storage create\` or by Fly`)
}

const status = defineCommand({
  meta: { name: 'status', description: 'Show a bucket and what was chosen for it' },
  args: { ...accountFlags, name },
  run: ({ args }) =>
    withAccounts(args, async (accounts) => {
      const found = await find(accounts, args.name)
      const state = (await accounts.provisioning.bucketOf(found)) === undefined ? 'deleted by another way' : 'ready'
      printRow({ ...shown(found), status: state }, args.json)
    }),
})

const update = defineCommand({
  meta: { name: 'update', description: 'Change what was chosen for a bucket; what is not said stays' },
  args: { ...accountFlags, name, ...optionFlags },
  run: ({ args }) =>
    withAccounts(args, async (accounts) => {
      const { id } = await find(accounts, args.name)
      printRow(shown(await accounts.provisioning.update(id, optionsOf(args))), args.json)
    }),
})

const destroy = defineCommand({
  meta: { name: 'destroy', description: 'Delete an empty bucket and its key' },
  args: { ...accountFlags, name },
  run: ({ args }) =>
    withAccounts(args, async (accounts) => {
      const { id } = await find(accounts, args.name)
      await accounts.provisioning.destroy(id)
    }),
})

export const storageCommand = defineCommand({
  meta: { name: 'storage', description: 'Buckets with a key of their own, as `fly storage` makes them' },
  subCommands: { create, list, status, update, destroy },
})
