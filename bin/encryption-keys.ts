import { defineCommand } from 'citty'
import { describeSetting, loadConfig } from '#src/config/load.ts'
import { DataDirectory, DataDirectoryError } from '#src/data-directory.ts'
import type { LocalKeys } from '#src/encryption/local-keys.ts'
import { openKeys } from '#src/open.ts'
import { realWorld } from '#src/world.ts'

const setting = (name: 'data' | 'keyFile', variable: string, valueHint: string) =>
  ({ type: 'string', description: `${describeSetting(name).description} (${variable})`, valueHint }) as const

const shared = {
  data: setting('data', 'MERIDIAN_DATA', 'directory'),
  'key-file': setting('keyFile', 'MERIDIAN_KEY_FILE', 'file'),
} as const

type Shared = Readonly<Record<keyof typeof shared, string | undefined>>

/** Also beside a server that runs: it reads the file again when it is asked for a key that it does not know. */
function openFile(args: Shared): LocalKeys {
  const { MERIDIAN_DATA, MERIDIAN_KEY_FILE } = process.env
  const config = loadConfig({ data: args.data, keyFile: args['key-file'] }, { MERIDIAN_DATA, MERIDIAN_KEY_FILE })
  const directory = new DataDirectory(config.data)
  if (!directory.exists())
    throw new DataDirectoryError(`${config.data} is not a data directory: start \`meridian serve\` once`)
  return openKeys(config, realWorld)
}

const createEncryptionKey = defineCommand({
  meta: { name: 'create', description: 'Create a key that requests may name for SSE-KMS' },
  args: {
    ...shared,
    name: { type: 'string', description: 'as requests name it', required: true },
  },
  run: ({ args }) => openFile(args).createManaged(args.name),
})

const listEncryptionKeys = defineCommand({
  meta: { name: 'list', description: 'List the keys for SSE-KMS by their names' },
  args: shared,
  run: ({ args }) => {
    for (const name of openFile(args).managedNames()) process.stdout.write(`${name}\n`)
  },
})

export const encryptionKeysCommand = defineCommand({
  meta: { name: 'encryption-keys', description: 'Create and list keys of server-side encryption' },
  subCommands: { create: createEncryptionKey, list: listEncryptionKeys },
})
