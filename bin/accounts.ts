import { randomBytes } from 'node:crypto'
import { defineCommand } from 'citty'
import { DataDirectoryError } from '#src/data-directory.ts'
import { openIdentity } from '#src/open/beside.ts'
import type { Identity } from '#src/service/services.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

const shared = {
  ...flagsOf(metadataSettings),
  json: { type: 'boolean', description: 'print JSON' },
} as const

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

type Row = Readonly<Record<string, string | boolean | number>>

function report(rows: readonly Row[], isJson: boolean | undefined): void {
  if (isJson === true) print(JSON.stringify(rows, undefined, 2))
  else for (const row of rows) print(Object.values(row).join('\t'))
}

type Shared = Readonly<Record<string, unknown>>

/** Also beside a server that runs on the same directory: it sees the change at its next request. */
async function withIdentity(args: Shared, body: (identity: Identity) => Promise<void>): Promise<void> {
  const { identity, store } = await openIdentity(configOfUsed(metadataSettings, args), realWorld)
  try {
    await body(identity)
  } finally {
    await store.close()
  }
}

const createUser = defineCommand({
  meta: { name: 'create', description: 'Create an account' },
  args: {
    ...shared,
    id: { type: 'string', description: 'canonical id; default: 64 hexadecimal digits by chance', valueHint: 'id' },
    name: { type: 'string', description: 'display name', required: true, valueHint: 'name' },
    email: { type: 'string', description: 'address by which grants may name it', default: '', valueHint: 'address' },
    administrator: { type: 'boolean', description: 'may do everything everywhere' },
    tenant: {
      type: 'string',
      description:
        'tenant whose IAM names it shares; `default`: the one without a name; default: none, it stands alone',
      valueHint: 'name',
    },
  },
  run: ({ args }) =>
    withIdentity(args, async (identity) => {
      const id = args.id ?? randomBytes(32).toString('hex')
      const isAdministrator = args.administrator === true
      const tenant = args.tenant === 'default' ? '' : args.tenant
      const account = await identity.createAccount({
        id,
        displayName: args.name,
        email: args.email,
        isAdministrator,
        ...(tenant !== undefined && { tenant }),
      })
      report([{ id: account.id, name: account.displayName, email: account.email }], args.json)
    }),
})

const listUsers = defineCommand({
  meta: { name: 'list', description: 'List accounts' },
  args: shared,
  run: ({ args }) =>
    withIdentity(args, async (identity) => {
      const rows = (await identity.listAccounts()).map(({ id, displayName, email, isAdministrator }) => ({
        id,
        name: displayName,
        email,
        administrator: isAdministrator,
      }))
      report(rows, args.json)
    }),
})

const deleteUser = defineCommand({
  meta: { name: 'delete', description: 'Delete an account that owns no bucket, and its keys' },
  args: { ...shared, id: { type: 'string', description: 'canonical id', required: true, valueHint: 'id' } },
  run: ({ args }) => withIdentity(args, (identity) => identity.deleteAccount(args.id)),
})

export const usersCommand = defineCommand({
  meta: { name: 'users', description: 'Create, list and delete accounts' },
  subCommands: { create: createUser, list: listUsers, delete: deleteUser },
})

/** The account that a key is for: the one named, or else the only administrator. */
async function accountFor(identity: Identity, user: string | undefined): Promise<string> {
  if (user !== undefined) return user
  const administrators = (await identity.listAccounts()).filter((each) => each.isAdministrator)
  const [only] = administrators
  if (only === undefined || administrators.length > 1) throw new DataDirectoryError('say whose key it is: --user')
  return only.id
}

const createKey = defineCommand({
  meta: { name: 'create', description: 'Create an access key; its secret is shown this once' },
  args: {
    ...shared,
    user: { type: 'string', description: 'canonical id; default: the administrator', valueHint: 'id' },
    'access-key': { type: 'string', description: 'default: by chance', valueHint: 'key' },
    'secret-key': { type: 'string', description: 'default: by chance', valueHint: 'secret' },
  },
  run: ({ args }) =>
    withIdentity(args, async (identity) => {
      const accountId = await accountFor(identity, args.user)
      const [id, secret] = [args['access-key'], args['secret-key']]
      const given = { ...(id === undefined ? {} : { id }), ...(secret === undefined ? {} : { secret }) }
      const key = await identity.createKey({ accountId, ...given })
      report([{ accessKey: key.id, secretKey: key.secret, user: accountId }], args.json)
    }),
})

const listKeys = defineCommand({
  meta: { name: 'list', description: 'List access keys, without their secrets' },
  args: { ...shared, user: { type: 'string', description: 'of this account only', valueHint: 'id' } },
  run: ({ args }) =>
    withIdentity(args, async (identity) => {
      const rows = (await identity.listKeys(args.user)).map(({ id, accountId, isActive, created }) => ({
        accessKey: id,
        user: accountId,
        active: isActive,
        created: new Date(created).toISOString(),
      }))
      report(rows, args.json)
    }),
})

const deleteKey = defineCommand({
  meta: { name: 'delete', description: 'Delete an access key' },
  args: { ...shared, 'access-key': { type: 'string', description: 'which', required: true, valueHint: 'key' } },
  run: ({ args }) => withIdentity(args, (identity) => identity.deleteKey(args['access-key'])),
})

export const keysCommand = defineCommand({
  meta: { name: 'keys', description: 'Create, list and delete access keys' },
  subCommands: { create: createKey, list: listKeys, delete: deleteKey },
})
