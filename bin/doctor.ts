import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineCommand } from 'citty'
import { type Config, settingNames } from '#src/config/load.ts'
import { openMaintenance } from '#src/open/beside.ts'
import { openStore } from '#src/open/store.ts'
import { silentLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'
import { type Finding, fail, reasonOf } from './doctor/finding.ts'
import {
  directoryFindings,
  keyFindings,
  limitFindings,
  metadataDiskFindings,
  versionFindings,
  volumeFindings,
} from './doctor/machine.ts'
import { clusterFindings, latencyFindings, layoutFindings, nodeFindings } from './doctor/metadata.ts'
import { redisFindings, regionFindings } from './doctor/peers.ts'
import { configOfUsed, flagsOf } from './settings.ts'

function version(): string {
  const file: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'))
  return typeof file === 'object' && file !== null && 'version' in file ? String(file.version) : ''
}

/** A look that fails is a finding, and keeps the others from nothing. */
async function looked(about: string, look: () => Promise<readonly Finding[]> | readonly Finding[]) {
  try {
    return await look()
  } catch (error) {
    return [fail(about, reasonOf(error), 'give the same flags as to `meridian serve`')]
  }
}

async function storeFindings(config: Config): Promise<readonly Finding[]> {
  const opened = await openStore(config, realWorld)
  try {
    return [
      ...(await looked('latency', () => latencyFindings(opened.store))),
      ...(await looked('layout', () => layoutFindings(opened.store))),
      ...(await looked('node', () => nodeFindings(opened))),
      ...(await looked('regions', () => regionFindings(opened.store, config))),
    ]
  } finally {
    await opened.store.close()
  }
}

async function volumesOf(config: Config): Promise<readonly Finding[]> {
  const opened = await openMaintenance(config, realWorld, silentLog)
  try {
    return await volumeFindings(opened)
  } finally {
    await opened.close()
  }
}

async function findings(config: Config): Promise<readonly Finding[]> {
  const cluster = config.metadata === 'foundationdb' ? await looked('foundationdb', () => clusterFindings(config)) : []
  // What does not answer would hold up every look at what is in it.
  const isThere = !cluster.some(({ about, state }) => about === 'foundationdb' && state === 'fail')
  return [
    ...versionFindings(version()),
    ...(await looked('limits', () => limitFindings(config))),
    ...(await looked('directory', () => directoryFindings(config))),
    ...(await looked('metadata disk', () => metadataDiskFindings(config))),
    ...cluster,
    ...(isThere ? await looked('metadata', () => storeFindings(config)) : []),
    ...(isThere ? await looked('volumes', () => volumesOf(config)) : []),
    ...(await looked('redis', () => redisFindings(config))),
    ...(await looked('encryption keys', () => keyFindings(config))),
  ]
}

function print(all: readonly Finding[], isJson: unknown): void {
  if (isJson === true) {
    process.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`)
    return
  }
  for (const { about, state, says, todo } of all) {
    process.stdout.write(`${state}\t${about}\t${says}${todo === undefined ? '' : `\t→ ${todo}`}\n`)
  }
}

export const doctorCommand = defineCommand({
  meta: {
    name: 'doctor',
    description: 'Look at all that this node depends on, also while it serves; exit code 1 if something fails',
  },
  args: {
    ...flagsOf(settingNames),
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const all = await findings(configOfUsed(settingNames, args))
    print(all, args.json)
    if (all.some(({ state }) => state === 'fail')) process.exitCode = 1
  },
})
