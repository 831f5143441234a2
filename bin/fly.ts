import { readFileSync } from 'node:fs'
import { tellChange } from '#gateway/fly/hooks.ts'
import { type FlyParts, ownSecret, type Places } from '#gateway/fly/parts.ts'
import { flyRoutes } from '#gateway/fly/routes.ts'
import { FlyServer } from '#gateway/fly/server.ts'
import { BadSettings, type Config } from '#src/config/load.ts'
import { DataDirectoryError } from '#src/data-directory.ts'
import type { OpenNode } from '#src/open.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'

export interface FlySide {
  /** `port`: of S3. */
  listen(port: number): Promise<void>
  /** Tells of changes, in one process of a node. */
  start(): void
  stop(): Promise<void>
  readonly places: Places
}

/** Shorter ones can be guessed. */
const secretCharactersMin = 16
const secretsMost = 2

/** Lines of a file, read at each use: so a secret is changed without a start. */
function linesOf(file: string | undefined, count: readonly [number, number]): () => readonly string[] {
  if (file === undefined) return () => []
  const read = (): readonly string[] => {
    const lines = readFileSync(file, 'utf8').split(/\r?\n/)
    const words = lines.map((each) => each.trim()).filter((each) => each !== '')
    if (words.length >= count[0] && words.length <= count[1]) return words
    throw new BadSettings(`bad settings: ${file} has ${words.length} lines`)
  }
  read()
  return read
}

function secretsOf(file: string | undefined, most: number): () => readonly string[] {
  const read = linesOf(file, [1, most])
  const isShort = read().some((each) => each.length < secretCharactersMin)
  if (isShort)
    throw new BadSettings(`bad settings: a secret in ${file} has less than ${secretCharactersMin} characters`)
  return read
}

const origin = (host: string, port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}`

/** Where this machine reaches a server that listens on an address, or on all. */
const reached = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host)

function fileParts(config: Config): FlyParts['fly'] {
  const provider = secretsOf(config.flyProviderSecretFile, secretsMost)
  const webhook = secretsOf(config.flyWebhookSecretFile, 1)
  const oauth = linesOf(config.flyOauthFile, [2, 2])
  return {
    provider,
    webhook: () => webhook()[0],
    oauth: () => {
      const [id, secret] = oauth()
      return id === undefined || secret === undefined ? undefined : { id, secret }
    },
  }
}

/** Fly's provider API and control plane, where the settings ask for them. */
export function openFly(config: Config, world: World, log: Log, node: OpenNode): FlySide | undefined {
  const { flyPort } = config
  if (flyPort === undefined) return undefined
  const { region } = node
  if (region !== undefined && !region.members.isRoot) {
    throw new DataDirectoryError('--fly-port is for the root region: accounts and buckets are made there')
  }
  let places: Places | undefined
  const known = (): Places => {
    if (places === undefined) throw new Error('the control plane does not listen yet')
    return places
  }
  const parts: FlyParts = {
    accounts: node.accounts,
    services: node.services,
    world,
    log,
    region: config.region,
    places: known,
    skewMilliseconds: config.flySkew * 1_000,
    fly: fileParts(config),
    settled: async () => {
      if (region === undefined) return []
      const head = await region.confirmations.head()
      return await region.confirmations.wait(head, new AbortController().signal)
    },
  }
  const server = new FlyServer({ routes: flyRoutes(parts), log })
  const stopping = new AbortController()
  let telling: Promise<void> | undefined
  const host = config.flyHost ?? config.host
  return {
    get places() {
      return known()
    },
    listen: async (port) => {
      const { port: own } = await server.listen(host, flyPort)
      const local = origin(reached(host), own)
      const shown = config.flyUrl ?? local
      const storage = config.publicUrl ?? origin(reached(config.host), port)
      // From now on somebody is told of what changes.
      await node.accounts.secrets.get(ownSecret.webhook)
      places = { local, public: shown, api: config.flyApiUrl ?? shown, storage }
    },
    start: () => {
      telling = node.accounts.hooks.run(stopping.signal, {
        send: (message, signal) => tellChange(parts, message, signal),
        report: (failure) =>
          log.warn('a change to a provisioned bucket was not taken, and is told again', { ...failure }),
        failed: (error) => log.error('telling of changes to provisioned buckets failed', { error }),
      })
    },
    stop: async () => {
      stopping.abort()
      await telling
      await server.close(config.drainSeconds * 1_000)
    },
  }
}
