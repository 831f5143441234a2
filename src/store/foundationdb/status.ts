import { setTimeout as wait } from 'node:timers/promises'
import { Client, type ClientOptions } from './client.ts'
import { startClient, type TlsFiles } from './native.ts'

/**
 * What a cluster says of itself, as far as operators are told of it here:
 * https://apple.github.io/foundationdb/mr-status-json-schemas.html
 */
export interface ClusterStatus {
  readonly isAvailable: boolean
  /** Such as `double`. */
  readonly redundancy: string
  readonly engine: string
  /** `healthy`, `healing`, `missing_data` … */
  readonly data: string
  readonly isDataHealthy: boolean
  /** Machines that may still fail before it stops. */
  readonly faultsTolerated: number | undefined
  /** What holds transactions back; `workload`: nothing but they themselves. */
  readonly limitedBy: string | undefined
  readonly messages: readonly string[]
  readonly versions: readonly string[]
  readonly processes: number
  readonly coordinatorsReachable: boolean
  /** Of the disk with the least room, of all processes. */
  readonly leastFreeShare: number | undefined
  /** Seconds, as its own probe measures them. */
  readonly commitSeconds: number | undefined
  readonly readSeconds: number | undefined
}

/** The parts that are read; all may be missing from an unwell cluster. */
interface Raw {
  readonly client?: {
    readonly database_status?: { readonly available?: boolean }
    readonly coordinators?: { readonly quorum_reachable?: boolean }
    readonly messages?: readonly Message[]
  }
  readonly cluster?: {
    readonly configuration?: { readonly redundancy_mode?: string; readonly storage_engine?: string }
    readonly data?: { readonly state?: { readonly name?: string; readonly healthy?: boolean } }
    readonly fault_tolerance?: { readonly max_zone_failures_without_losing_availability?: number }
    readonly qos?: { readonly performance_limited_by?: { readonly name?: string } }
    readonly messages?: readonly Message[]
    readonly latency_probe?: { readonly commit_seconds?: number; readonly read_seconds?: number }
    readonly processes?: Readonly<
      Record<
        string,
        {
          readonly version?: string
          readonly disk?: { readonly free_bytes?: number; readonly total_bytes?: number }
        }
      >
    >
  }
}

interface Message {
  readonly name?: string
  readonly description?: string
}

const statusKey = Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.from('/status/json')])

/** Asks the cluster's coordinators, also where its database is not available. Rejects with FoundationDbUnusable, or FdbError. */
export async function readClusterStatus(options: ClientOptions & { readonly tls?: TlsFiles }): Promise<ClusterStatus> {
  const client = new Client(startClient(options.tls ?? {}), options)
  // Held to the end: one that nobody holds any more is cancelled.
  const native = client.watchTransaction()
  try {
    const asked = native.get(statusKey, true)
    asked.catch(() => {})
    const late = wait(options.timeout, undefined, { ref: false })
    const bytes = await Promise.race([asked, late])
    if (bytes === undefined || bytes === null) throw new Error('the cluster does not say how it is')
    return parseStatus(bytes.toString())
  } finally {
    native.cancel()
    client.close()
  }
}

export function parseStatus(text: string): ClusterStatus {
  const { client = {}, cluster = {} } = JSON.parse(text) as Raw
  const processes = Object.values(cluster.processes ?? {})
  const shares = processes.flatMap(({ disk }) =>
    disk?.free_bytes === undefined || !disk.total_bytes ? [] : [disk.free_bytes / disk.total_bytes],
  )
  const messages = [...(client.messages ?? []), ...(cluster.messages ?? [])]
  return {
    isAvailable: client.database_status?.available === true,
    redundancy: cluster.configuration?.redundancy_mode ?? '',
    engine: cluster.configuration?.storage_engine ?? '',
    data: cluster.data?.state?.name ?? 'unknown',
    isDataHealthy: cluster.data?.state?.healthy === true,
    faultsTolerated: cluster.fault_tolerance?.max_zone_failures_without_losing_availability,
    limitedBy: cluster.qos?.performance_limited_by?.name,
    messages: messages.map(({ name, description }) => description ?? name ?? ''),
    versions: [...new Set(processes.flatMap(({ version }) => version ?? []))],
    processes: processes.length,
    coordinatorsReachable: client.coordinators?.quorum_reachable === true,
    leastFreeShare: shares.length === 0 ? undefined : Math.min(...shares),
    commitSeconds: cluster.latency_probe?.commit_seconds,
    readSeconds: cluster.latency_probe?.read_seconds,
  }
}
