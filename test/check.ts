import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** `npm run check`: types, format, lint and layers, dead code, and that every invariant has a test that names it. */
const root = dirname(import.meta.dirname)
const tool = (name: string): string => join(root, 'node_modules', '.bin', name)

function run(title: string, command: string, args: readonly string[]): boolean {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  console.log(`${title}: ${status === 0 ? 'good' : 'FAILED'}`)
  return status === 0
}

const read = (pattern: string): readonly { readonly file: string; readonly text: string }[] =>
  globSync(pattern, { cwd: root }).map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }))

/** Numbers of the invariants in the header comments of a folder, as `folder: X1`. */
function stated(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const { file, text } of read('{src,gateway,replicator,bin}/**/*.ts')) {
    if (file.endsWith('.test.ts')) continue
    for (const [, number = ''] of text.matchAll(/^ \* ([A-Z]\d+) {2}/gm)) found.set(number, file)
  }
  return found
}

function tested(): ReadonlySet<string> {
  const found = new Set<string>()
  for (const { text } of read('{src,gateway,replicator,bin,test,compat}/**/*.ts')) {
    for (const [, title = ''] of text.matchAll(/(?:test|it|describe)\(\s*[`'"]([^`'"]+)/g)) {
      for (const [number] of (title.split(':')[0] ?? '').matchAll(/\b[A-Z]\d+\b/g)) found.add(number)
    }
  }
  return found
}

function checkInvariants(): boolean {
  const titles = tested()
  const missing = [...stated()].filter(([number]) => !titles.has(number))
  for (const [number, file] of missing) console.log(`${file}: no test names ${number}`)
  console.log(`invariants: ${missing.length === 0 ? 'good' : 'FAILED'}`)
  return missing.length === 0
}

/** A trace of the machine that something was written on has no place in what others read. */
function checkPaths(): boolean {
  const { stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  const files = stdout.split('\0').filter((each) => /\.(ts|mjs|md|json|yml|sh|py|txt)$/.test(each))
  const bad = files.filter((each) =>
    /(?:^|["'\s(=])\/(?:work|root|home\/\w+)\//m.test(readFileSync(join(root, each), 'utf8')),
  )
  for (const file of bad) console.log(`${file}: names a path of a machine`)
  console.log(`paths: ${bad.length === 0 ? 'good' : 'FAILED'}`)
  return bad.length === 0
}

const results = [
  run('types', tool('tsc'), ['--noEmit']),
  run('types of the console', tool('tsc'), ['--noEmit', '-p', join('gateway', 'console', 'page')]),
  run('biome', tool('biome'), ['ci', '--error-on-warnings', '.']),
  run('knip', tool('knip'), []),
  checkInvariants(),
  checkPaths(),
]
process.exitCode = results.every(Boolean) ? 0 : 1
