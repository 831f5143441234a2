import { defineCommand } from 'citty'
import type { LocalKeys } from '#src/encryption/local-keys.ts'
import { openKeysBeside } from '#src/open.ts'
import { realWorld } from '#src/world.ts'
import { printRow, printRows } from './printing.ts'
import { configOfUsed, flagsOf } from './settings.ts'

const settings = ['data', 'keyFile'] as const

const shared = { ...flagsOf(settings), json: { type: 'boolean', description: 'print JSON' } } as const

/** Also beside a server that runs: it reads the file again when it is asked for a key that it does not know. */
const openFile = (args: Readonly<Record<string, unknown>>): LocalKeys =>
  openKeysBeside(configOfUsed(settings, args), realWorld)

const createEncryptionKey = defineCommand({
  meta: { name: 'create', description: 'Create a key that requests may name for SSE-KMS' },
  args: {
    ...shared,
    name: { type: 'string', description: 'as requests name it', required: true },
  },
  run: ({ args }) => {
    openFile(args).createManaged(args.name)
    if (args.json === true) printRow({ name: args.name }, true)
  },
})

const listEncryptionKeys = defineCommand({
  meta: { name: 'list', description: 'List the keys for SSE-KMS by their names' },
  args: shared,
  run: ({ args }) => {
    printRows(
      [...openFile(args).managedNames()].map((name) => ({ name })),
      args.json,
    )
  },
})

export const encryptionKeysCommand = defineCommand({
  meta: { name: 'encryption-keys', description: 'Create and list keys of server-side encryption' },
  subCommands: { create: createEncryptionKey, list: listEncryptionKeys },
})
