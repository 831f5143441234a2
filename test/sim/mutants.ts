import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { regionMutants } from '../regions/mutant-list.ts'
import { tellHelp } from '../support/tell-help.ts'
import { broken, type Mutant, type Mutation, type RegionMutant } from './mutant.ts'
import { mutants } from './mutant-list.ts'

tellHelp(`npm run mutants -- [options]

Breaks a copy of the tree in one place after the other, and sees whether the simulation, or the tests that are named for it, notice. One
that nobody notices means that a check is missing.

  --only NAME,NAME   these alone
  --regions          those that checks of real regions must notice, each of them; that takes half an hour
`)

const { values } = parseArgs({ options: { only: { type: 'string' }, regions: { type: 'boolean', default: false } } })
const root = dirname(dirname(import.meta.dirname))
/** Enough seeds for what they can find at all, and not more operations than that takes. */
const simulation = ['test/sim/main.ts', '--seeds', '40', '--operations', '1000', '--until-failure']
const soundSimulation = ['test/sim/main.ts', '--seeds', '6', '--operations', '1000', '--until-failure']
const soundRegions = ['test/regions/main.ts', '--short']
/** What does not end by then was noticed: no check of a sound tree takes so long. */
const longestMilliseconds = 900_000
const quiet = '--disable-warning=ExperimentalWarning'

type Outcome = 'passed' | 'failed' | 'no end'

type Command = readonly string[]

const commandsOf = ({ killers }: Mutant): readonly Command[] =>
  killers === 'sim' ? [simulation] : killers.map((file) => ['--test', file])

const regionCommandsOf = ({ checks }: RegionMutant): readonly Command[] =>
  checks.map((words) => ['test/regions/main.ts', '--short', '--iterations', '100', '--only', words])

/** Commands that find it; `all`: each of them has to. */
interface Trial {
  readonly mutant: Mutation
  readonly commands: readonly Command[]
  readonly all: boolean
}

/** What a sound tree must pass first: all checks of regions at once, on fewer clusters. */
const soundCommandsOf = ({ commands, all }: Trial): readonly Command[] =>
  all ? [soundRegions] : commands.map((command) => (command === simulation ? soundSimulation : command))

const trials: readonly Trial[] = values.regions
  ? regionMutants.map((mutant) => ({ mutant, commands: regionCommandsOf(mutant), all: true }))
  : mutants.map((mutant) => ({ mutant, commands: commandsOf(mutant), all: false }))

function run(tree: string, args: readonly string[]): Promise<Outcome> {
  // A group of its own, so that what hangs ends with all that it started.
  const child = spawn(process.execPath, [quiet, ...args], { cwd: tree, stdio: 'ignore', detached: true })
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      end(child)
      resolve('no end')
    }, longestMilliseconds)
    child.on('error', reject)
    child.on('exit', (code) => {
      clearTimeout(late)
      resolve(code === 0 ? 'passed' : 'failed')
    })
  })
}

function end({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, 'SIGKILL')
}

/** What git and npm keep is not copied. */
function copyTree(): string {
  const tree = mkdtempSync(join(tmpdir(), 'meridian-mutants-'))
  const left = new Set(['.git', 'node_modules'])
  cpSync(root, tree, {
    recursive: true,
    filter: (path) => dirname(relative(root, path)) !== '.' || !left.has(basename(path)),
  })
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  return tree
}

const titleOf = (command: Command): string => `${command.at(command[0] === '--test' ? 1 : 0)}${wordsOf(command)}`

const wordsOf = (command: Command): string => {
  const at = command.indexOf('--only')
  return at < 0 ? '' : ` ('${command[at + 1]}')`
}

/** What noticed it, in words; undefined: not those that must. */
async function killersOf(tree: string, { mutant, commands, all }: Trial): Promise<string | undefined> {
  const path = join(tree, mutant.file)
  const sound = readFileSync(path, 'utf8')
  writeFileSync(path, broken(sound, mutant))
  const killers: string[] = []
  try {
    for (const command of commands) {
      const outcome = await run(tree, command)
      if (outcome !== 'passed') killers.push(`${titleOf(command)}${outcome === 'no end' ? ', which found no end' : ''}`)
      else if (all) console.log(`${mutant.name}: NOT NOTICED by ${titleOf(command)}`)
      if (killers.length > 0 && !all) break
    }
    return killers.length < (all ? commands.length : 1) ? undefined : killers.join(', ')
  } finally {
    writeFileSync(path, sound)
  }
}

const asked = values.only?.split(',')
const wanted = trials.filter(({ mutant }) => asked === undefined || asked.includes(mutant.name))
if (wanted.length === 0) throw new Error(`there is no mutant ${values.only}`)
// Stale ones are found before anything is run.
for (const { mutant } of wanted) broken(readFileSync(join(root, mutant.file), 'utf8'), mutant)

const tree = copyTree()
const survivors: string[] = []
try {
  const commands = new Map(wanted.flatMap(soundCommandsOf).map((command) => [command.join(' '), command]))
  for (const [text, command] of commands) {
    const outcome = await run(tree, command)
    if (outcome !== 'passed') throw new Error(`without any mutant: ${text} ${outcome}`)
  }
  console.log(`without any mutant ${commands.size} checks pass`)
  for (const trial of wanted) {
    const killers = await killersOf(tree, trial)
    const { rule, name } = trial.mutant
    if (killers === undefined) survivors.push(name)
    console.log(`${rule} ${name}: ${killers === undefined ? 'SURVIVED' : `killed by ${killers}`}`)
  }
} finally {
  rmSync(tree, { recursive: true })
}
console.log(`${wanted.length - survivors.length} of ${wanted.length} mutants killed`)
if (survivors.length > 0) console.log(`SURVIVED: ${survivors.join(' ')}`)
process.exitCode = survivors.length > 0 ? 1 : 0
