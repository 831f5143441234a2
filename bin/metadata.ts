import { defineCommand } from 'citty'
import { BadSettings } from '#src/config/load.ts'
import { moveMetadata } from '#src/open/beside.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

/** How often it is said on standard error how far it is. */
const progressMilliseconds = 2_000

const settings = metadataSettings.filter((name) => name !== 'metadata')

const copy = defineCommand({
  meta: {
    name: 'copy',
    description:
      'Copy the metadata of a data directory that is not served to another driver, verify it, and go on there',
  },
  args: {
    ...flagsOf(settings),
    to: { type: 'string', description: 'foundationdb or lmdb', required: true, valueHint: 'driver' },
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const { to } = args
    if (to !== 'foundationdb' && to !== 'lmdb') throw new BadSettings('bad settings: --to is `foundationdb` or `lmdb`')
    let told = performance.now()
    const { report, kept } = await moveMetadata(
      configOfUsed(settings, args),
      to,
      realWorld,
      ({ step, space, rows }) => {
        if (performance.now() - told < progressMilliseconds) return
        told = performance.now()
        process.stderr.write(`${step} ${space}: ${rows} rows\n`)
      },
    )
    if (args.json === true) process.stdout.write(`${JSON.stringify({ to, kept, ...report }, undefined, 2)}\n`)
    else {
      const what = report === undefined ? 'what was copied before' : `${report.rows} rows, ${report.bytes} bytes`
      process.stdout.write(`${what}, the same on both sides; serve with --metadata ${to}; kept: ${kept}\n`)
    }
  },
})

export const metadataCommand = defineCommand({
  meta: { name: 'metadata', description: 'Move metadata between an embedded file and a cluster' },
  subCommands: { copy },
})
