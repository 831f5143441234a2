import type { ArgsDef, CommandDef } from 'citty'

/** A command as completions know it. */
export interface CommandNode {
  /** Words behind `meridian`, with spaces between; empty: itself. */
  readonly path: string
  readonly description: string
  readonly commands: readonly { readonly name: string; readonly description: string }[]
  readonly flags: readonly { readonly name: string; readonly description: string; readonly hasValue: boolean }[]
  /** Whether it takes names of files. */
  readonly takesFiles: boolean
}

type Loadable = CommandDef | (() => Promise<CommandDef>)

const describe = ({ meta }: CommandDef): string =>
  typeof meta === 'object' && meta !== null && 'description' in meta ? String(meta.description) : ''

/** All commands, from their own definitions. */
export async function commandTree(command: CommandDef, path = ''): Promise<readonly CommandNode[]> {
  const children = (command.subCommands ?? {}) as Readonly<Record<string, Loadable>>
  const loaded = await Promise.all(
    Object.entries(children).map(async ([name, each]) => ({
      name,
      command: typeof each === 'function' ? await each() : each,
    })),
  )
  const args = Object.entries((command.args ?? {}) as ArgsDef)
  const node: CommandNode = {
    path,
    description: describe(command),
    commands: loaded.map((each) => ({ name: each.name, description: describe(each.command) })),
    flags: args
      .filter(([, { type }]) => type !== 'positional')
      .map(([name, { type, description = '' }]) => ({ name, description, hasValue: type !== 'boolean' })),
    takesFiles: args.some(([, { type }]) => type === 'positional'),
  }
  const deeper = await Promise.all(
    loaded.map((each) => commandTree(each.command, path === '' ? each.name : `${path} ${each.name}`)),
  )
  return [node, ...deeper.flat()]
}
