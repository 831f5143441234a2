import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { type CycleReport, crashCycles } from './cycles.ts'
import { type FileSystem, LoopDisk } from './disk.ts'

const help = `npm run crash -- [options]

Kills the server, and cuts its power, under load, and checks every acknowledged write after each restart.

  --kills N          cycles of kill -9 (200)
  --cuts N           power cuts on each file system (50): a loop device is shut down under the running server
  --file-systems L   for the cuts (xfs,ext4)
  --floor N          least acknowledged writes in each cycle (20)
  --waive-cuts       do not fail where this machine cannot cut power
  --metadata M       lmdb, or foundationdb: a cluster of one process is killed, or loses its power, together with the server,
                     and in every other cycle of kills either of them alone
  --without-fsync    the control: run with fsync taken out of the server. It must fail.
`

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    cuts: { type: 'string', default: '50' },
    'file-systems': { type: 'string', default: 'xfs,ext4' },
    floor: { type: 'string', default: '20' },
    metadata: { type: 'string', default: 'lmdb' },
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

type Environment = Readonly<Record<string, string>>

/** A cluster for the metadata, where it is to be in one. */
async function clusterUnder(place: string): Promise<TestCluster | undefined> {
  if (values.metadata !== 'foundationdb') return undefined
  const reason = whyNoFoundationDb()
  if (reason !== undefined) throw new Error(`NOT SHOWN: ${reason}`)
  return await TestCluster.start({ engine: 'ssd', under: place })
}

const placeIn = (cluster: TestCluster | undefined): Environment =>
  cluster === undefined
    ? {}
    : {
        MERIDIAN_METADATA: 'foundationdb',
        MERIDIAN_FDB_CLUSTER_FILE: cluster.clusterFile,
        MERIDIAN_FDB_TIMEOUT: '60',
      }

async function kills(cycles: number, floor: number, more: Environment): Promise<void> {
  const data = join(folder, 'kill')
  await mkdir(data)
  const cluster = await clusterUnder(folder)
  const environment = { ...more, ...placeIn(cluster) }
  let cycle = 0
  const crash = async (server: { kill(): Promise<void> }): Promise<void> => {
    cycle += 1
    if (cluster === undefined) return await server.kill()
    const doomed = [[server, cluster], [server], [cluster, server]][cycle % 3] ?? []
    for (const each of doomed) await each.kill()
    if (doomed.includes(cluster)) cluster.resume()
    await server.kill()
  }
  try {
    const settle = async (): Promise<void> => {}
    judge('kill -9', await crashCycles({ data, cycles, floor, environment, crash, settle, progress: print }))
  } finally {
    await cluster?.stop()
  }
}

async function cuts(kind: FileSystem, cycles: number, floor: number, more: Environment): Promise<void> {
  let disk: LoopDisk
  try {
    disk = await LoopDisk.make(folder, kind)
  } catch (error) {
    print(`power cut on ${kind}: NOT SHOWN, this machine cannot do it: ${String(error).split('\n')[0]}`)
    if (!values['waive-cuts']) failures += 1
    return
  }
  const cluster = await clusterUnder(disk.folder)
  try {
    const report = await crashCycles({
      data: join(disk.folder, 'data'),
      cycles,
      floor,
      environment: { ...more, ...placeIn(cluster) },
      progress: print,
      settle: () => disk.sync(),
      crash: async (server) => {
        await disk.cutPower()
        await server.kill()
        await cluster?.kill()
        await disk.unmount()
        await disk.mount()
        cluster?.resume()
      },
    })
    judge(`power cut on ${kind}`, report)
  } finally {
    await cluster?.stop()
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
