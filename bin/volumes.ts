import { defineCommand } from 'citty'
import { beingEmptied } from '#src/blobs/volume.ts'
import type { VolumeState } from '#src/blobs/volume-maintenance.ts'
import { loadConfig, type Setting } from '#src/config/load.ts'
import { DataDirectoryError } from '#src/data-directory.ts'
import { type OpenMaintenance, openMaintenance } from '#src/open/beside.ts'
import { type Damage, Scrubber, type ScrubReport } from '#src/service/scrubber.ts'
import { type DrainProgress, VolumeDrain } from '#src/service/volume-drain.ts'
import { listVolumes, type VolumeSummary } from '#src/service/volume-list.ts'
import { silentLog } from '#src/telemetry/log.ts'
import { realWorld } from '#src/world.ts'
import { configOfUsed, flagsOf, metadataSettings } from './settings.ts'

/** How often long work says on standard error how far it is. */
const progressMilliseconds = 2_000

const settings: readonly Setting[] = [...metadataSettings, 'volumes', 'region']

const shared = {
  ...flagsOf(settings),
  json: { type: 'boolean', description: 'print JSON' },
} as const

type Shared = Readonly<Record<string, unknown>>

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const printJson = (value: unknown): void => print(JSON.stringify(value, undefined, 2))

/** Also beside a server that runs on the same volumes. */
async function withVolumes(args: Shared, body: (opened: OpenMaintenance) => Promise<void>): Promise<void> {
  const config = configOfUsed(settings, args)
  const opened = await openMaintenance(config, realWorld, silentLog)
  try {
    await body(opened)
  } finally {
    await opened.close()
  }
}

/** Says how far something is, but not at every step. */
function progress(): (line: () => string) => void {
  let told = performance.now()
  return (line) => {
    if (performance.now() - told < progressMilliseconds) return
    told = performance.now()
    process.stderr.write(`${line()}\n`)
  }
}

const size = (bytes: number): string => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${(bytes / 2 ** (10 * step)).toFixed(step === 0 ? 0 : 1)} ${units[step]}`
}

const dateOf = (milliseconds: number): string => new Date(milliseconds).toISOString()

function lineOf(volume: VolumeSummary): string {
  const { id, path, bytes, room, segments, deadBytes, retired, retiredSince, problem } = volume
  const since = retiredSince === undefined ? '' : ` since ${dateOf(retiredSince)}`
  const state = retired === undefined ? 'in use' : `retired${since}: ${retired}`
  const numbers = [`${segments} segments`, `${size(bytes)} used`, `${size(deadBytes)} dead`, `${size(room)} room`]
  return [id, path, ...numbers, state, ...(problem === undefined ? [] : [problem])].join('\t')
}

const list = defineCommand({
  meta: { name: 'list', description: 'List the volumes of this node' },
  args: shared,
  run: ({ args }) =>
    withVolumes(args, async ({ foundation, maintenance }) => {
      const volumes = await listVolumes(foundation, maintenance)
      if (args.json === true) printJson(volumes)
      else for (const volume of volumes) print(lineOf(volume))
    }),
})

const check = defineCommand({
  meta: {
    name: 'check',
    description: 'Read all of a volume and try to write; if its disk does both, it is in use again',
  },
  args: {
    ...shared,
    volume: {
      type: 'string',
      description: 'id or path; default: every one that is retired, but for those that are being emptied',
      valueHint: 'volume',
    },
  },
  run: ({ args }) =>
    withVolumes(args, async ({ maintenance }) => {
      const all = await maintenance.volumes()
      const wanted = all.filter(({ id, path, retired }) =>
        args.volume === undefined
          ? retired !== undefined && retired !== beingEmptied
          : args.volume === id || args.volume === path,
      )
      if (args.volume !== undefined && wanted.length === 0) {
        throw new DataDirectoryError(`there is no volume ${args.volume} here`)
      }
      const tell = progress()
      const rows: object[] = []
      for (const { id, path, retired } of wanted) {
        const report = await maintenance.check(id, (done, of) => tell(() => `${path}: segment ${done} of ${of}`))
        rows.push({ id, path, wasRetired: retired !== undefined, ...report })
        if (args.json === true) continue
        const { segments, frames, damaged } = report
        const state = retired === undefined ? 'in use' : 'in use again'
        print(`${id}\t${path}\t${segments} segments\t${frames} frames\t${damaged} damaged\t${state}`)
      }
      if (args.json === true) printJson(rows)
      else if (wanted.length === 0) print('no volume has failed')
    }),
})

const leftLine = ({ segments, bytes, waiting, unreadable }: DrainProgress): string => {
  const numbers = [`${segments} segments`, `${size(bytes)} left`, `${waiting} wait for their writers`]
  return [...numbers, `${unreadable} blobs cannot be read`].join('\t')
}

/** A node whose last volume in use is emptied takes no bodies any more. */
function checkOthers(others: readonly VolumeState[]): void {
  if (others.length === 0) throw new DataDirectoryError('there is no other volume to move its bytes to')
  if (others.some(({ retired }) => retired === undefined)) return
  throw new DataDirectoryError(
    'all other volumes are retired, and take no bytes: add one to --volumes, or take one into use again by `meridian volumes check`',
  )
}

const drain = defineCommand({
  meta: { name: 'drain', description: 'Empty a volume into the others, for its disk to be taken out; may be repeated' },
  args: {
    ...shared,
    volume: { type: 'string', description: 'id or path', required: true, valueHint: 'volume' },
  },
  run: ({ args }) =>
    withVolumes(args, async ({ foundation, maintenance }) => {
      const all = await maintenance.volumes()
      const found = all.find(({ id, path }) => args.volume === id || args.volume === path)
      if (found === undefined) throw new DataDirectoryError(`there is no volume ${args.volume} here`)
      checkOthers(all.filter(({ id }) => id !== found.id))
      const tell = progress()
      const left = await new VolumeDrain(foundation, maintenance).run(found.id, new AbortController().signal, {
        progress: (each) => tell(() => leftLine(each)),
      })
      if (args.json === true) printJson({ id: found.id, path: found.path, ...left })
      else print(left.segments === 0 ? `${found.path} is empty: it may be left out of --volumes` : leftLine(left))
      if (left.segments > 0) process.exitCode = 1
    }),
})

function damageRow({ kind, error, objects, ...where }: Damage): object {
  return { kind, ...where, reason: error.message, objects }
}

function damageLine({ error, objects }: Damage): string {
  const names = objects.map(({ bucket, key, version }) => `${bucket}/${key} (${version})`)
  return `${error.message}\t${names.length === 0 ? 'no object known' : names.join(', ')}`
}

function reportLine({ rows, blobs, bytes, damaged, elsewhere }: ScrubReport): string {
  const notHere = elsewhere === 0 ? '' : `, ${elsewhere} blobs are elsewhere and were not read`
  return `${rows} rows, ${blobs} blobs of ${size(bytes)}, ${damaged} damaged${notHere}`
}

const scrub = defineCommand({
  meta: { name: 'scrub', description: 'Read and verify all metadata and bytes; exit code 1 if anything is damaged' },
  args: {
    ...shared,
    rate: { type: 'string', description: 'bytes a second at most; default: as fast as it goes', valueHint: 'size' },
  },
  run: ({ args }) =>
    withVolumes(args, async ({ foundation, maintenance, node }) => {
      const damages: object[] = []
      const tell = progress()
      const bytesPerSecond = args.rate === undefined ? undefined : loadConfig({ scrubRate: args.rate }, {}).scrubRate
      const report = await new Scrubber(foundation, maintenance, node).pass(new AbortController().signal, {
        report: (damage) => {
          if (args.json === true) damages.push(damageRow(damage))
          else print(damageLine(damage))
        },
        progress: (total) => tell(() => reportLine(total)),
        ...(bytesPerSecond !== undefined && { bytesPerSecond }),
      })
      if (args.json === true) printJson({ ...report, damages })
      else print(reportLine(report))
      if (report.damaged > 0) process.exitCode = 1
    }),
})

export const volumesCommand = defineCommand({
  meta: { name: 'volumes', description: 'List, check, scrub and empty the volumes of this node, also while it serves' },
  subCommands: { list, check, scrub, drain },
})
