import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Command, type Ended } from '../command/command.ts'
import { freePorts } from '../support/free-ports.ts'
import type { PodVolume, Probe, StatefulSet } from './chart.ts'
import { variablesOf } from './pod.ts'

export type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>

export interface PodOptions {
  readonly set: StatefulSet
  /** Of this pod, and empty. */
  readonly folder: string
  readonly ordinal?: number
  /** Secrets and ConfigMaps of the namespace: by name and key. */
  readonly secrets?: Secrets
  /** Host names of the manifests, and where they lead in this test. */
  readonly hosts?: ReadonlyMap<string, string>
  /** Variables that are left out, since what they name is not here. */
  readonly without?: readonly string[]
  /** Processes that serve, fewer than the example says: this machine has other things to do. */
  readonly workers: number
  /** Until it is ready, in milliseconds. */
  readonly patience?: number
}

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'))
/** How long a command may take, in milliseconds. */
const executionMost = 100_000
/** What the chart mounts something at. */
const mounted = /(?<![\w.:])\/(?=(?:data|volumes|given|run\/foundationdb|etc\/meridian)\b)/g

/** A pod of the chart without Kubernetes: its program, variables, files and probes, but for ports, host names and paths. */
export class RunningPod {
  readonly endpoint: string
  /** Where other regions reach it. */
  readonly peer: string
  readonly environment: Readonly<Record<string, string>>
  readonly #metrics: string
  readonly #options: PodOptions
  readonly #command: Command

  private constructor(options: PodOptions, ports: number, peer: string, environment: Readonly<Record<string, string>>) {
    this.#options = options
    this.endpoint = `http://127.0.0.1:${ports}`
    this.#metrics = `http://127.0.0.1:${ports + 1}`
    this.peer = peer
    this.environment = environment
    this.#command = new Command(options.set.spec.template.spec.containers[0].args ?? [], environment)
  }

  /** Its containers for the beginning have run; the others run, and are not asked for anything yet. */
  static async start(options: PodOptions): Promise<RunningPod> {
    const { set, folder, ordinal = 0, secrets = {}, hosts = new Map(), without = [] } = options
    const { containers, initContainers = [], volumes } = set.spec.template.spec
    for (const { name, mountPath } of [containers[0], ...initContainers].flatMap((each) => each.volumeMounts)) {
      const at = join(folder, mountPath)
      mkdirSync(at, { recursive: true })
      const volume = volumes.find((each) => each.name === name)
      if (volume?.secret !== undefined || volume?.configMap !== undefined) project(at, volume, secrets)
    }
    for (const { command = [] } of initContainers) {
      const [program = '', ...words] = command.map((each) => each.replaceAll(mounted, `${folder}/`))
      execFileSync(program, words, { timeout: 60_000 })
    }
    const first = await freePorts(4)
    const ports: Readonly<Record<string, number>> = {
      MERIDIAN_PORT: first,
      MERIDIAN_METRICS_PORT: first + 1,
      MERIDIAN_PEER_PORT: first + 2,
      MERIDIAN_TLS_PORT: first + 3,
    }
    const peer = `http://127.0.0.1:${first + 2}`
    const own: Readonly<Record<string, string>> = {
      MERIDIAN_PEER_URL: peer,
      MERIDIAN_NODE_URL: peer,
      MERIDIAN_WORKERS: String(options.workers),
    }
    const environment: Record<string, string> = {}
    for (const [name, value] of Object.entries(variablesOf(set, ordinal))) {
      if (without.includes(name)) continue
      const place = hosts.get(value) ?? value.replaceAll(mounted, `${folder}/`)
      environment[name] = own[name] ?? (name in ports ? String(ports[name]) : place)
      if (environment[name] === '::' && !hasIpv6) environment[name] = '0.0.0.0'
    }
    return new RunningPod(options, first, peer, environment)
  }

  get log(): string {
    return this.#command.output
  }

  /** What the kubelet asks; false: it is not well, or not there. */
  async probe(which: 'startupProbe' | 'livenessProbe' | 'readinessProbe'): Promise<boolean> {
    const probe: Probe | undefined = this.#options.set.spec.template.spec.containers[0][which]
    assert.ok(probe !== undefined)
    try {
      const signal = AbortSignal.timeout(probe.timeoutSeconds * 1_000)
      const { status, body } = await fetch(`${this.#metrics}${probe.httpGet.path}`, { signal })
      await body?.cancel()
      return status >= 200 && status < 400
    } catch {
      return false
    }
  }

  /** As the kubelet does: first the one for the start, then the one for requests. */
  async becomeReady(): Promise<void> {
    const until = performance.now() + (this.#options.patience ?? 110_000)
    for (const which of ['startupProbe', 'readinessProbe'] as const) {
      while (!(await this.probe(which))) {
        assert.ok(this.#command.child.exitCode === null, `it ended: ${this.#command.errors}`)
        assert.ok(performance.now() < until, `${which} does not succeed: ${this.#command.errors}`)
        await wait(100)
      }
    }
  }

  /** `kubectl exec POD -- meridian …`. */
  async execute(...words: readonly string[]): Promise<Ended> {
    const command = new Command(words, this.environment)
    const timer = setTimeout(() => command.child.kill('SIGKILL'), executionMost)
    const ended = await command.ended
    clearTimeout(timer)
    return ended
  }

  async stop(): Promise<Ended> {
    return await this.#command.stop()
  }

  /** Whatever it does. */
  kill(): void {
    this.#command.child.kill('SIGKILL')
  }
}

/** As the kubelet lays a Secret: links to what a link leads to, for its group to read. */
function project(folder: string, { secret, configMap }: PodVolume, secrets: Secrets): void {
  const name = secret?.secretName ?? configMap?.name ?? ''
  const content = secrets[name] ?? {}
  const all = Object.keys(content).map((key) => ({ key, path: key }))
  const version = join(folder, '..2026_01_01')
  if (existsSync(version)) return
  mkdirSync(version)
  symlinkSync('..2026_01_01', join(folder, '..data'))
  for (const { key, path } of secret?.items ?? configMap?.items ?? all) {
    const text = content[key]
    if (text === undefined) continue
    writeFileSync(join(version, path), text, { mode: 0o440 })
    symlinkSync(`..data/${path}`, join(folder, path))
  }
}
