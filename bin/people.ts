import { readFileSync } from 'node:fs'
import { defineCommand } from 'citty'
import { accountFlags, neededFlag, textFlag, withAccounts } from './accounts-beside.ts'
import { isoTime, printRow, printRows } from './printing.ts'

const passwordFlag = textFlag('file of their password; `-`: standard input; default: they sign in by a token', 'file')

/** A flag would show it to everybody who may list processes. */
function readPassword(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, '')
}

const create = defineCommand({
  meta: { name: 'create', description: 'Add somebody who signs in' },
  args: {
    ...accountFlags,
    email: neededFlag('their address', 'address'),
    name: textFlag('what they are called; default: their address', 'name'),
    'password-file': passwordFlag,
  },
  run: ({ args }) =>
    withAccounts(args, async ({ people }) => {
      const password = readPassword(args['password-file'])
      const { id, email, name } = await people.create({
        email: args.email,
        name: args.name ?? args.email,
        ...(password !== undefined && { password }),
      })
      printRow({ id, email, name }, args.json)
    }),
})

const password = defineCommand({
  meta: {
    name: 'password',
    description: 'Give somebody another password; browsers they are signed in with are signed out',
  },
  args: {
    ...accountFlags,
    email: neededFlag('their address', 'address'),
    'password-file': { ...passwordFlag, required: true },
  },
  run: ({ args }) =>
    withAccounts(args, async ({ people }) => {
      const { id } = await people.get(args.email)
      await people.setPassword(id, readPassword(args['password-file']) ?? '')
    }),
})

export const peopleCommand = defineCommand({
  meta: { name: 'people', description: 'Those who sign in' },
  subCommands: { create, password },
})

const createToken = defineCommand({
  meta: { name: 'create', description: 'Make a token for a program of somebody; it is shown this once' },
  args: {
    ...accountFlags,
    email: neededFlag('whose it is', 'address'),
    name: neededFlag('what it is for', 'name'),
    organization: textFlag('the only organization that it is good for; default: all of theirs', 'name'),
    'read-only': { type: 'boolean', description: 'changes nothing' },
    days: textFlag('how long it is good for; default: without end', 'number'),
  },
  run: ({ args }) =>
    withAccounts(args, async ({ people, tokens, organizations }) => {
      const { id: person } = await people.get(args.email)
      const within = args.organization === undefined ? undefined : await organizations.get(args.organization)
      const days = args.days === undefined ? undefined : Number(args.days)
      if (days !== undefined && !(days > 0 && days <= 3_650)) throw new Error('--days is a number from 1 to 3650')
      const { token, secret } = await tokens.create({
        person,
        kind: 'token',
        name: args.name,
        isReadOnly: args['read-only'] === true,
        ...(within !== undefined && { organization: within.id }),
        ...(days !== undefined && { lifetime: days * 86_400_000 }),
      })
      printRow({ id: token.id, token: secret }, args.json)
    }),
})

const listTokens = defineCommand({
  meta: { name: 'list', description: "List somebody's tokens and browsers, without what is secret of them" },
  args: { ...accountFlags, email: neededFlag('whose they are', 'address') },
  run: ({ args }) =>
    withAccounts(args, async ({ people, tokens }) => {
      const { id: person } = await people.get(args.email)
      const rows = (await tokens.list(person)).map(({ id, kind, name, isReadOnly, created, expires }) => ({
        id,
        kind,
        name,
        readOnly: isReadOnly,
        created: isoTime(created),
        expires: expires === undefined ? undefined : isoTime(expires),
      }))
      printRows(rows, args.json)
    }),
})

const deleteToken = defineCommand({
  meta: { name: 'delete', description: 'End a token, or a browser’s session' },
  args: {
    ...accountFlags,
    email: neededFlag('whose it is', 'address'),
    id: neededFlag('which, as the list shows it', 'id'),
  },
  run: ({ args }) =>
    withAccounts(args, async ({ people, tokens }) => {
      await tokens.delete((await people.get(args.email)).id, args.id)
    }),
})

export const tokensCommand = defineCommand({
  meta: { name: 'tokens', description: 'Tokens that programs act for people by' },
  subCommands: { create: createToken, list: listTokens, delete: deleteToken },
})
