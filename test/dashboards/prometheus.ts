import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePorts } from '../support/free-ports.ts'
import { prometheusFolder } from './rules.ts'

const readyMost = 60_000
const scrapeMost = 30_000

interface Result {
  readonly value: readonly [number, string]
}

interface Target {
  readonly health: string
  readonly scrapeUrl: string
  readonly lastError: string
  readonly lastScrape: string
}

/** A Prometheus of a check's own, with the configuration of deploy/ but for its targets and its pace. */
export class Prometheus {
  readonly #url: string
  readonly #folder: string
  readonly #child: ChildProcess

  private constructor(url: string, folder: string, child: ChildProcess) {
    this.#url = url
    this.#folder = folder
    this.#child = child
  }

  static async start(targets: readonly string[]): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), 'meridian-prometheus-'))
    mkdirSync(join(folder, 'targets'))
    copyFileSync(join(prometheusFolder, 'rules.yml'), join(folder, 'rules.yml'))
    const config = readFileSync(join(prometheusFolder, 'prometheus.yml'), 'utf8')
    // Its own pace is for days: the check has seconds.
    const quick = config
      .replaceAll(/(scrape|evaluation)_interval: 15s/g, '$1_interval: 2s')
      .replace('_timeout: 10s', '_timeout: 2s')
    writeFileSync(join(folder, 'prometheus.yml'), quick)
    writeFileSync(join(folder, 'targets', 'check.json'), JSON.stringify([{ targets }]))
    const port = await freePorts(1)
    const address = `127.0.0.1:${port}`
    const words = [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`]
    const child = spawn('prometheus', [...words, `--web.listen-address=${address}`, '--log.level=error'], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const prometheus = new Prometheus(`http://${address}`, folder, child)
    const until = performance.now() + readyMost
    for (;;) {
      if (
        await fetch(`http://${address}/-/ready`).then(
          ({ ok }) => ok,
          () => false,
        )
      )
        return prometheus
      if (performance.now() > until || child.exitCode !== null) {
        await prometheus.stop()
        throw new Error('prometheus is not ready')
      }
      await wait(100)
    }
  }

  /** The values of a query's series now; a text: why it was refused. */
  async query(expression: string): Promise<readonly number[] | string> {
    const response = await fetch(`${this.#url}/api/v1/query?${new URLSearchParams({ query: expression })}`)
    const answer = (await response.json()) as { status: string; error?: string; data?: { result: readonly Result[] } }
    if (answer.status !== 'success') return answer.error ?? 'refused'
    return (answer.data?.result ?? []).map(({ value: [, text] }) => Number(text))
  }

  /** Why targets are not up; there have to be so many. */
  async downTargets(count: number): Promise<readonly string[]> {
    const targets = await this.#targets()
    const down = targets
      .filter(({ health }) => health !== 'up')
      .map(({ scrapeUrl, lastError }) => `${scrapeUrl}: ${lastError}`)
    return targets.length === count ? down : [...down, `there are ${targets.length} targets, not ${count}`]
  }

  /** Why rules do not work; there have to be so many. */
  async unhealthyRules(count: number): Promise<readonly string[]> {
    const response = await fetch(`${this.#url}/api/v1/rules`)
    const { data } = (await response.json()) as {
      data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] }
    }
    const all = data.groups.flatMap(({ rules }) => rules)
    const bad = all.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`)
    return all.length === count ? bad : [...bad, `there are ${all.length} rules, not ${count}`]
  }

  /** Once every target was scraped after this was asked for. */
  async scrapedAgain(): Promise<void> {
    const since = Date.now()
    const until = performance.now() + scrapeMost
    while (performance.now() < until) {
      const targets = await this.#targets()
      if (targets.length > 0 && targets.every(({ lastScrape }) => Date.parse(lastScrape) > since)) return
      await wait(200)
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve))
      this.#child.kill('SIGTERM')
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
      await ended
      clearTimeout(timer)
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #targets(): Promise<readonly Target[]> {
    const response = await fetch(`${this.#url}/api/v1/targets?state=active`)
    return ((await response.json()) as { data: { activeTargets: readonly Target[] } }).data.activeTargets
  }
}
