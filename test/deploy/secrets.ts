import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../documents/printed.ts'

/** A file of keys of server-side encryption, made in this folder as docs/deploying.md says. */
export function documentedKeys(folder: string): string {
  const text = readFileSync(join(root, 'docs/deploying.md'), 'utf8')
  const [, commands] = /```sh\n([^`]*> keys\.json\n[^`]*)```/.exec(text) ?? []
  if (commands === undefined) throw new Error('docs/deploying.md does not say how to make keys.json')
  const cwd = mkdtempSync(join(folder, 'documented-'))
  const { status, stderr } = spawnSync('sh', ['-eu', '-c', commands], { cwd, encoding: 'utf8', timeout: 60_000 })
  if (status !== 0) throw new Error(stderr)
  return readFileSync(join(cwd, 'keys.json'), 'utf8')
}
