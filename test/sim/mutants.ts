import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import type { Mutant } from './mutant.ts'
import { mutants } from './mutant-list.ts'

/**
 * `npm run mutants [-- --only NAME,NAME]`: breaks a copy of the tree in one place after the other, and sees whether the simulation, or
 * the tests that are named for it, notice. One that nobody notices means that a check is missing.
 */
const { values } = parseArgs({ options: { only: { type: 'string' } } })
const root = dirname(dirname(import.meta.dirname))
/** Enough seeds for what they can find at all, and not more operations than that takes. */
const simulation = ['test/sim/main.ts', '--seeds', '40', '--operations', '1000', '--until-failure']
const soundSimulation = ['test/sim/main.ts', '--seeds', '6', '--operations', '1000', '--until-failure']
/** What does not end by then was noticed: no check of a sound tree takes so long. */
const longestMilliseconds = 540_000
const quiet = '--disable-warning=ExperimentalWarning'

type Outcome = 'passed' | 'failed' | 'no end'

const commandsOf = ({ killers }: Mutant): readonly (readonly string[])[] =>
  killers === 'sim' ? [simulation] : killers.map((file) => ['--test', file])

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

/** The text with its one replacement. */
function broken(text: string, { name, file, from, to }: Mutant): string {
  const parts = text.split(from)
  if (parts.length !== 2) throw new Error(`${name}: ${file} has its text ${parts.length - 1} times, and not once`)
  return parts.join(to)
}

/** Undefined: nobody noticed. */
async function killerOf(tree: string, mutant: Mutant): Promise<string | undefined> {
  const path = join(tree, mutant.file)
  const sound = readFileSync(path, 'utf8')
  writeFileSync(path, broken(sound, mutant))
  try {
    for (const command of commandsOf(mutant)) {
      const outcome = await run(tree, command)
      if (outcome !== 'passed')
        return `${command.at(command[0] === '--test' ? 1 : 0)}${outcome === 'no end' ? ', which found no end' : ''}`
    }
    return undefined
  } finally {
    writeFileSync(path, sound)
  }
}

const asked = values.only?.split(',')
const wanted = mutants.filter(({ name }) => asked === undefined || asked.includes(name))
if (wanted.length === 0) throw new Error(`there is no mutant ${values.only}`)
// Stale ones are found before anything is run.
for (const mutant of mutants) broken(readFileSync(join(root, mutant.file), 'utf8'), mutant)

const tree = copyTree()
const survivors: string[] = []
try {
  const commands = new Map(wanted.flatMap(commandsOf).map((command) => [command.join(' '), command]))
  for (const [text, command] of commands) {
    const outcome = await run(tree, command === simulation ? soundSimulation : command)
    if (outcome !== 'passed') throw new Error(`without any mutant: ${text} ${outcome}`)
  }
  console.log(`without any mutant ${commands.size} checks pass`)
  for (const mutant of wanted) {
    const killer = await killerOf(tree, mutant)
    if (killer === undefined) survivors.push(mutant.name)
    console.log(`${mutant.rule} ${mutant.name}: ${killer === undefined ? 'SURVIVED' : `killed by ${killer}`}`)
  }
} finally {
  rmSync(tree, { recursive: true })
}
console.log(`${wanted.length - survivors.length} of ${wanted.length} mutants killed`)
if (survivors.length > 0) console.log(`SURVIVED: ${survivors.join(' ')}`)
process.exitCode = survivors.length > 0 ? 1 : 0
