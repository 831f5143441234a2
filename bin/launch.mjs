#!/usr/bin/env node
/**
 * Starts Meridian on any Node: installs what is missing, then hands over to a Node that runs TypeScript as it is.
 * Plain JavaScript, because the system's Node may be too old for anything else.
 *
 *   launch.mjs serve --port 9000       the command `meridian`
 *   launch.mjs --run test/run.ts       any script of this project
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const oldest = 24

/** npm writes this file last, so it is older than the lock only where an install is missing or was cut short. */
function isInstalled() {
  const written = join(root, 'node_modules', '.package-lock.json')
  return existsSync(written) && statSync(written).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
}

function install() {
  process.stderr.write('meridian: installing dependencies (once)\n')
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) {
    process.stderr.write(`meridian: npm ci failed${error ? `: ${error.message}` : ''}\n`)
    process.exit(status ?? 1)
  }
}

function newNode() {
  if (Number.parseInt(process.versions.node, 10) >= oldest) return process.execPath
  return join(root, 'node_modules', 'node', 'bin', 'node')
}

const isPackage = existsSync(join(root, 'package-lock.json'))
if (isPackage && !isInstalled()) install()

const [first, ...rest] = process.argv.slice(2)
const [script, ...args] = first === '--run' ? rest : ['bin/meridian.ts', ...process.argv.slice(2)]
const child = spawn(newNode(), ['--disable-warning=ExperimentalWarning', join(root, script ?? ''), ...args], {
  stdio: 'inherit',
  // Node's four threads would all wait for fsyncs on a slow disk, and reads behind them.
  env: { UV_THREADPOOL_SIZE: '16', ...process.env },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  process.stderr.write(`meridian: ${error.message}\n`)
  process.exit(1)
})
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
