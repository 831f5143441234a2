import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { type CycleReport, crashCycles } from './cycles.ts'
import { type FileSystem, LoopDisk } from './disk.ts'

const help = `npm run crash -- [options]

Kills the server, and cuts its power, under load, and checks every acknowledged write after each restart.

  --kills N          cycles of kill -9 (200)
  --cuts N           power cuts on each file system (50): a loop device is shut down under the running server
  --file-systems L   for the cuts (xfs,ext4)
  --floor N          least acknowledged writes in each cycle (20)
  --waive-cuts       do not fail where this machine cannot cut power
  --without-fsync    the control: run with fsync taken out of the server. It must fail.
`

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    cuts: { type: 'string', default: '50' },
    'file-systems': { type: 'string', default: 'xfs,ext4' },
    floor: { type: 'string', default: '20' },
    'waive-cuts': { type: 'boolean', default: false },
    'without-fsync': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const folder = await mkdtemp(join(tmpdir(), 'meridian-crash-'))
let failures = 0

/** Compiled here, so that the control run needs a C compiler and nothing else. */
async function lyingSync(): Promise<Readonly<Record<string, string>>> {
  const source = fileURLToPath(new URL('./lying-sync.c', import.meta.url))
  const library = join(folder, 'lying-sync.so')
  await promisify(execFile)('cc', ['-shared', '-fPIC', '-O1', '-o', library, source])
  return { LD_PRELOAD: library }
}

function judge(name: string, report: CycleReport): void {
  const { cycles, acknowledged, unknown, checked, findings, hollow } = report
  const lost = findings.filter(({ kind }) => kind === 'lost').length
  print(
    `${name}: ${cycles} cycles, ${acknowledged} acknowledged, ${unknown} of unknown outcome, ${checked} checked, ` +
      `${lost} lost, ${findings.length - lost} wrong, ${hollow} cycles below the floor`,
  )
  for (const { key, kind, detail } of findings.slice(0, 20)) print(`  ${kind} ${key}: ${detail}`)
  if (findings.length > 0 || hollow > 0) failures += 1
}

async function kills(cycles: number, floor: number, environment: Readonly<Record<string, string>>): Promise<void> {
  const data = join(folder, 'kill')
  await mkdir(data)
  const crash = (server: { kill(): Promise<void> }) => server.kill()
  judge(
    'kill -9',
    await crashCycles({ data, cycles, floor, environment, crash, settle: async () => {}, progress: print }),
  )
}

async function cuts(
  kind: FileSystem,
  cycles: number,
  floor: number,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  let disk: LoopDisk
  try {
    disk = await LoopDisk.make(folder, kind)
  } catch (error) {
    print(`power cut on ${kind}: NOT SHOWN, this machine cannot do it: ${String(error).split('\n')[0]}`)
    if (!values['waive-cuts']) failures += 1
    return
  }
  try {
    const report = await crashCycles({
      data: join(disk.folder, 'data'),
      cycles,
      floor,
      environment,
      progress: print,
      settle: () => disk.sync(),
      crash: async (server) => {
        await disk.cutPower()
        await server.kill()
        await disk.unmount()
        await disk.mount()
      },
    })
    judge(`power cut on ${kind}`, report)
  } finally {
    await disk.remove()
  }
}

async function main(): Promise<void> {
  const environment = values['without-fsync'] ? await lyingSync() : {}
  const floor = Number(values.floor)
  if (Number(values.kills) > 0) await kills(Number(values.kills), floor, environment)
  const kinds = values['file-systems'].split(',') as FileSystem[]
  if (Number(values.cuts) > 0) for (const kind of kinds) await cuts(kind, Number(values.cuts), floor, environment)
}

if (values.help) print(help)
else {
  try {
    await main()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  print(failures === 0 ? 'nothing acknowledged was lost' : `${failures} of the runs failed`)
  process.exitCode = failures === 0 ? 0 : 1
}
