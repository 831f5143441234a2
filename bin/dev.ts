import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { defineCommand } from 'citty'
import { BadSettings } from '#src/config/load.ts'
import { DevClusters } from './dev-clusters.ts'
import { type Companion, prometheusCompanion, redisCompanion } from './dev-companions.ts'
import { geographyOf, roundTripOf } from './places.ts'

/** One region of the cluster, as a process of its own. */
interface Site {
  readonly region: string
  readonly port: number
  readonly peerPort: number
  /** Undefined: it tells no metrics. */
  readonly metricsPort: number | undefined
  /** Of a Redis of its own; undefined: it has none. */
  readonly redisPort: number | undefined
}

interface DevOptions {
  readonly sites: readonly Site[]
  readonly data: string
  /** Milliseconds of a round trip between two regions. */
  readonly roundTrip: (one: string, other: string) => number
  readonly workers: string
  /** Of a Prometheus that scrapes all regions; undefined: none does. */
  readonly prometheusPort: number | undefined
  /** Flags of `serve` that all regions get. */
  readonly flags: readonly string[]
  /** Keep the metadata; absent: embedded. */
  readonly clusters?: { readonly of: DevClusters; readonly port: number }
}

/** A region that ended though nobody asked for it is started again after this, in milliseconds. */
const restartMs = 1_000

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** A whole cluster on one machine: a directory, a port and processes for each region. */
class Dev {
  readonly #options: DevOptions
  readonly #children = new Map<string, ChildProcess>()
  readonly #accompanying: Companion[] = []
  /** By region: flags that say where its metadata is. */
  readonly #metadata = new Map<string, readonly string[]>()
  readonly #stopping = new AbortController()

  constructor(options: DevOptions) {
    this.#options = options
  }

  async run(): Promise<void> {
    const { sites, data } = this.#options
    mkdirSync(data, { recursive: true })
    const secret = this.#secretFile
    if (!existsSync(secret)) writeFileSync(secret, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => this.#stop())
    try {
      for (const each of this.#companions()) if (!this.#isStopping) await this.#accompany(each)
      // The root first: the others join there.
      for (const [index, site] of sites.entries()) {
        this.#startCluster(site, index)
        if (!this.#isStopping) await this.#start(site)
      }
      if (!this.#isStopping) print('ready')
      await this.#untilStopped()
      await this.#haveEnded()
    } finally {
      // Regions that end still need their queues, and their metadata.
      if (this.#options.clusters !== undefined) await this.#endRegions()
      await Promise.all(this.#accompanying.map((each) => each.stop()))
      this.#options.clusters?.of.stop()
    }
  }

  async #accompany(companion: Companion): Promise<void> {
    this.#accompanying.push(companion)
    await companion.start()
  }

  *#companions(): Generator<Companion> {
    const { sites, data, prometheusPort } = this.#options
    for (const { redisPort } of sites) if (redisPort !== undefined) yield redisCompanion(redisPort, print)
    if (prometheusPort === undefined) return
    const targets = sites.map(({ metricsPort }) => `127.0.0.1:${metricsPort}`)
    yield prometheusCompanion(join(data, 'prometheus'), prometheusPort, targets, print)
    print(`prometheus http://127.0.0.1:${prometheusPort}`)
  }

  get #secretFile(): string {
    return join(this.#options.data, 'cluster.secret')
  }

  #startCluster({ region }: Site, index: number): void {
    const { clusters } = this.#options
    if (clusters !== undefined) this.#metadata.set(region, clusters.of.start(region, clusters.port + index))
  }

  async #endRegions(): Promise<void> {
    this.#stop()
    await this.#haveEnded()
  }

  /** Once the cluster stops, none is started again. */
  async #haveEnded(): Promise<void> {
    await Promise.all([...this.#children.values()].map((child) => ended(child)))
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  async #untilStopped(): Promise<void> {
    if (!this.#isStopping) await once(this.#stopping.signal, 'abort')
  }

  #stop(): void {
    this.#stopping.abort()
    for (const child of this.#children.values()) child.kill('SIGTERM')
  }

  /** Resolves once it serves. */
  async #start(site: Site): Promise<void> {
    const { region } = site
    const child = spawn(
      process.execPath,
      [...process.execArgv, join(import.meta.dirname, 'meridian.ts'), ...this.#words(site)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        // A group of its own, so that a region can be killed as a machine dies: all of it, and nothing else.
        detached: true,
      },
    )
    this.#children.set(region, child)
    const ready = new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const at = /^ready (\S+)$/.exec(line)?.[1]
        if (at === undefined) print(`${region}: ${line}`)
        else {
          print(`region ${region} ${at} pid ${child.pid}`)
          resolve()
        }
      })
      child.once('exit', (code, signal) => reject(new Error(`the region ${region} ended (${signal ?? code})`)))
    })
    child.once('exit', () => this.#again(site, ready))
    await ready
  }

  /** A region that served before is started again, as whatever watches over it in production would. */
  #again(site: Site, ready: Promise<void>): void {
    if (this.#isStopping) return
    ready.then(
      () => {
        print(`region ${site.region} ended, and is started again`)
        setTimeout(() => {
          if (this.#isStopping) return
          this.#start(site).catch((error: unknown) => print(`region ${site.region}: ${String(error)}`))
        }, restartMs)
      },
      // It never served: whoever started it says so.
      () => this.#stop(),
    )
  }

  #words({ region, port, peerPort, metricsPort, redisPort }: Site): readonly string[] {
    const { sites, data, roundTrip, workers, flags } = this.#options
    const [root] = sites
    const isRoot = root?.region === region
    const geography = geographyOf(region)
    const delays = sites
      .filter((each) => each.region !== region)
      .map((each) => [each.region, roundTrip(region, each.region)] as const)
      .filter(([, milliseconds]) => milliseconds > 0)
    return [
      ...['serve', '--region', region, '--port', String(port), '--data', join(data, region), '--workers', workers],
      ...['--cluster-secret-file', this.#secretFile, '--peer-port', String(peerPort)],
      // All regions must open what one of them encrypted.
      ...['--key-file', join(data, 'encryption-keys.json')],
      ...(metricsPort === undefined ? [] : ['--metrics-port', String(metricsPort)]),
      ...(redisPort === undefined ? [] : ['--redis', `redis://127.0.0.1:${redisPort}/0`]),
      ...(geography === '' ? [] : ['--geography', geography]),
      ...(delays.length === 0 ? [] : ['--peer-delay', delays.map(([to, by]) => `${to}=${by}`).join(',')]),
      ...(isRoot ? [] : ['--join', `http://127.0.0.1:${root?.peerPort}`]),
      ...(this.#metadata.get(region) ?? []),
      ...flags,
    ]
  }
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })

function portOf(text: string, what: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new BadSettings(`bad settings: ${what} is no port: ${text}`)
}

function roundTripFrom(latency: string): DevOptions['roundTrip'] {
  if (latency === 'none') return () => 0
  if (latency === 'realistic') return roundTripOf
  const milliseconds = Number(latency)
  if (Number.isInteger(milliseconds) && milliseconds >= 0 && milliseconds <= 10_000) return () => milliseconds
  throw new BadSettings('bad settings: --latency is `none`, `realistic`, or milliseconds')
}

const text = (fallback: string, description: string, valueHint: string) =>
  ({ type: 'string', default: fallback, description: `${description} (default ${fallback})`, valueHint }) as const

const optional = (description: string) => ({ type: 'string', description, valueHint: 'number' }) as const

/** Where regions tell metrics by default if somebody is there to scrape them. */
const scrapedPort = '9200'

export const devCommand = defineCommand({
  meta: { name: 'dev', description: 'Run a whole cluster of regions on this machine' },
  args: {
    regions: text('fra,iad,syd', 'codes of the regions; the first is the root', 'codes'),
    latency: text('none', 'round trip between regions: `none`, `realistic`, or milliseconds', 'milliseconds'),
    data: text('./dev', 'directory of all of them', 'directory'),
    port: text('9000', 'port of the first region; the others follow', 'number'),
    'peer-port': text('9100', 'port that the first is asked on by the others, which follow', 'number'),
    'metrics-port': optional('port on which the first tells metrics; the others follow (default: they tell none)'),
    'redis-port': optional("port of the first region's own `redis-server`; the others follow (default: no Redis)"),
    'prometheus-port': optional('port of a `prometheus` that scrapes them all (default: none does)'),
    metadata: text('lmdb', 'what keeps the metadata: `lmdb`, or `foundationdb`, a cluster for each region', 'driver'),
    'fdb-port': text('4500', 'port of the first FoundationDB cluster; the others follow', 'number'),
    workers: text('1', 'processes of each region', 'number'),
    'log-level': text('warn', 'least level that is logged', 'level'),
  },
  async run({ args }) {
    const codes = args.regions.split(',').map((each) => each.trim())
    if (new Set(codes).size !== codes.length) throw new BadSettings('bad settings: --regions names one twice')
    const port = portOf(args.port, '--port')
    const peerPort = portOf(args['peer-port'], '--peer-port')
    const given = (name: 'metrics-port' | 'prometheus-port' | 'redis-port', fallback?: string): number | undefined => {
      const value = args[name] ?? fallback
      return value === undefined ? undefined : portOf(value, `--${name}`)
    }
    const after = (first: number | undefined, index: number) => (first === undefined ? undefined : first + index)
    const prometheusPort = given('prometheus-port')
    const metricsPort = given('metrics-port', prometheusPort === undefined ? undefined : scrapedPort)
    const redisPort = given('redis-port')
    const sites = codes.map((region, index) => ({
      region,
      port: port + index,
      peerPort: peerPort + index,
      metricsPort: after(metricsPort, index),
      redisPort: after(redisPort, index),
    }))
    const { data, workers, metadata } = args
    if (metadata !== 'lmdb' && metadata !== 'foundationdb') {
      throw new BadSettings('bad settings: --metadata is `lmdb` or `foundationdb`')
    }
    const clusters =
      metadata === 'lmdb' ? undefined : { of: new DevClusters(data), port: portOf(args['fdb-port'], '--fdb-port') }
    await new Dev({
      sites,
      data,
      workers,
      prometheusPort,
      roundTrip: roundTripFrom(args.latency),
      flags: ['--log-level', args['log-level']],
      ...(clusters !== undefined && { clusters }),
    }).run()
  },
})
