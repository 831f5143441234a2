import { type CommandDef, defineCommand } from 'citty'
import { type CommandNode, commandTree } from './client/command-tree.ts'
import { CannotDo } from './client/connection.ts'

/** In single quotes of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const firstLine = (text: string): string => (text.split('\n', 1)[0] ?? '').slice(0, 100)

const flagsOf = ({ flags }: CommandNode): readonly string[] => [...flags.map(({ name }) => `--${name}`), '--help']
const wordsOf = ({ commands }: CommandNode): readonly string[] => commands.map(({ name }) => name)

function bash(tree: readonly CommandNode[]): string {
  const paths = tree.map(({ path }) => `${quoted(path)}) return 0 ;;`)
  const cases = tree.map((node) => {
    const files = node.takesFiles ? ' files=1' : ''
    const values = node.flags.filter(({ hasValue }) => hasValue).map(({ name }) => `--${name}`)
    return `    ${quoted(node.path)}) words=${quoted([...wordsOf(node), ...flagsOf(node)].join(' '))}; values=${quoted(values.join(' '))};${files} ;;`
  })
  return `# meridian completions for bash: source <(meridian completions bash)
_meridian_known() {
  case "$1" in
    ${paths.join('\n    ')}
  esac
  return 1
}
_meridian() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' longer words='' values='' files='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    longer="\${path:+$path }\${COMP_WORDS[at]}"
    _meridian_known "$longer" || break
    path="$longer"
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=()
  if [[ " $values " == *" $before "* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ -n "$files" && "$current" != -* ]]; then
    mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -o bashdefault -F _meridian meridian
`
}

function zsh(tree: readonly CommandNode[]): string {
  const described = (name: string, description: string): string =>
    quoted(`${name.replaceAll(':', '\\:')}:${firstLine(description)}`)
  const cases = tree.map((node) => {
    const commands = node.commands.map((each) => described(each.name, each.description))
    const flags = node.flags.map((each) => described(`--${each.name}`, each.description))
    const files = node.takesFiles ? ' files=1' : ''
    return `    ${quoted(node.path)}) choices=(${[...commands, ...flags, "'--help:show help'"].join(' ')});${files} ;;`
  })
  return `#compdef meridian
# meridian completions for zsh: source <(meridian completions zsh)
_meridian() {
  local -a known choices
  local place='' longer files='' at
  known=(${tree.map(({ path }) => quoted(path)).join(' ')})
  for ((at = 2; at < CURRENT; at++)); do
    longer="\${place:+$place }\${words[at]}"
    (( \${known[(Ie)$longer]} )) || break
    place="$longer"
  done
  case "$place" in
${cases.join('\n')}
  esac
  _describe 'meridian' choices
  [[ -n "$files" ]] && _files
}
compdef _meridian meridian
`
}

function fish(tree: readonly CommandNode[]): string {
  const lines = tree.flatMap((node) => {
    const here = `-n ${quoted(`__meridian_at ${quoted(node.path)}`)}`
    const commands = node.commands.map(
      (each) => `complete -c meridian ${here} -f -a ${quoted(each.name)} -d ${quoted(firstLine(each.description))}`,
    )
    const flags = node.flags.map(
      (each) =>
        `complete -c meridian ${here} -l ${quoted(each.name)}${each.hasValue ? ' -r' : ''} -d ${quoted(firstLine(each.description))}`,
    )
    return [...commands, ...flags]
  })
  return `# meridian completions for fish: meridian completions fish | source
set -g __meridian_paths ${tree.map(({ path }) => quoted(path)).join(' ')}
function __meridian_at
  set -l path ''
  for word in (commandline -opc)[2..]
    set -l longer (string trim "$path $word")
    contains -- $longer $__meridian_paths; or break
    set path $longer
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`
}

const shells: Readonly<Record<string, (tree: readonly CommandNode[]) => string>> = { bash, zsh, fish }

/** Of all commands that `main` has. */
export const completionsOf = (main: () => CommandDef) =>
  defineCommand({
    meta: { name: 'completions', description: 'Print completions for bash, zsh or fish' },
    args: { shell: { type: 'positional', description: 'bash, zsh or fish', required: true } },
    async run({ args }) {
      const print = shells[args.shell]
      if (print === undefined) throw new CannotDo(`there are completions for ${Object.keys(shells).join(', ')}`)
      process.stdout.write(print(await commandTree(main())))
    },
  })
