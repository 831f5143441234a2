/** Series as promtool writes them: `0+2x20` begins with 0 and grows by 2, twenty times; `_` is a scrape without it. */
export type Series = Readonly<Record<string, string>>

/** When an alert has to fire, what it says then, and what must not make it fire. */
export interface AlertCase {
  readonly alert: string
  /** Between two scrapes; default: a minute. */
  readonly interval?: string
  readonly series: Series
  /** It fires here … */
  readonly at: string
  /** … and not here yet, in the same series. */
  readonly notYet?: string
  readonly labels: Readonly<Record<string, string>>
  readonly summary: string
  /** What is close to it, and no reason to wake anybody; looked at when the others fire. */
  readonly silent: readonly Series[]
}

const node = 'instance="fra:9200",region="fra"'
const worker = `${node},worker="0"`
const volume = `${worker},volume="volumes/0"`
const ofNode = { instance: 'fra:9200', region: 'fra' }
const ofWorker = { ...ofNode, worker: '0' }
const ofVolume = { ...ofNode, volume: 'volumes/0' }
const ofPeer = { region: 'fra', peer: 'iad' }
const toPeer = `${worker},peer="iad"`

/** Of 100 a minute, how many took at most as long as each bound says. */
function histogram(name: string, labels: string, below: Readonly<Record<string, number>>): Series {
  const bounds = Object.entries({ ...below, '+Inf': 100 })
  return Object.fromEntries(bounds.map(([le, count]) => [`${name}_bucket{${labels},le="${le}"}`, `0+${count}x60`]))
}

const processes: readonly AlertCase[] = [
  {
    alert: 'MeridianDown',
    series: { 'up{job="meridian",instance="fra:9200"}': '1 0x10', 'up{job="meridian",instance="iad:9200"}': '1x11' },
    at: '4m',
    notYet: '2m',
    labels: { instance: 'fra:9200', job: 'meridian' },
    summary: 'fra:9200 does not tell metrics',
    // One scrape that failed, and a program of somebody else.
    silent: [
      { 'up{job="meridian",instance="fra:9200"}': '1 1 1 0 1x10', 'up{job="node",instance="fra:9100"}': '0x10' },
    ],
  },
  {
    alert: 'MeridianWorkerDown',
    series: { [`meridian_worker_up{${worker}}`]: '0x10', [`meridian_worker_up{${node},worker="1"}`]: '1x10' },
    at: '3m',
    notYet: '1m',
    labels: ofWorker,
    summary: 'worker 0 of fra:9200 does not answer',
    silent: [{ [`meridian_worker_up{${worker}}`]: '0 1x10' }],
  },
  {
    alert: 'MeridianNotReady',
    series: { [`meridian_ready{${worker}}`]: '0x10', [`meridian_ready{${node},worker="1"}`]: '0x10' },
    at: '3m',
    notYet: '1m',
    labels: ofNode,
    summary: 'the node fra:9200 of fra is not ready',
    silent: [{ [`meridian_ready{${worker}}`]: '0x10', [`meridian_ready{${node},worker="1"}`]: '1x10' }],
  },
  {
    alert: 'MeridianRestarts',
    series: { [`process_start_time_seconds{${worker},job="meridian"}`]: '100 200 300 400 500x10' },
    at: '5m',
    notYet: '3m',
    labels: ofWorker,
    summary: 'worker 0 of fra:9200 was started 4 times within 30 minutes',
    silent: [
      { [`process_start_time_seconds{${worker},job="meridian"}`]: '100 200 300 400x10' },
      { [`process_start_time_seconds{${worker},job="prometheus"}`]: '100 200 300 400 500x10' },
    ],
  },
  {
    alert: 'MeridianEventLoopBlocked',
    series: { [`meridian_event_loop_delay_seconds{${worker},percentile="99"}`]: '0.6x10' },
    at: '6m',
    notYet: '4m',
    labels: ofWorker,
    summary: 'the event loop of worker 0 of fra:9200 is 600ms late',
    silent: [
      {
        [`meridian_event_loop_delay_seconds{${worker},percentile="99"}`]: '0.4x10',
        [`meridian_event_loop_delay_seconds{${worker},percentile="100"}`]: '3x10',
      },
    ],
  },
]

const requests = (status: string, grows: string): Series => ({
  [`meridian_requests_total{${worker},operation="PutObject",status="${status}"}`]: grows,
})

const slowHeads = (below: Readonly<Record<string, number>>): Series =>
  histogram('meridian_request_duration_seconds', `${worker},operation="HeadObject"`, below)

const asked: readonly AlertCase[] = [
  {
    alert: 'MeridianErrors',
    series: { ...requests('200', '0+98x20'), ...requests('503', '0+2x20') },
    at: '8m',
    notYet: '3m',
    labels: { region: 'fra' },
    summary: '2% of the requests in fra are answered 5xx',
    silent: [
      { ...requests('200', '0+199x20'), ...requests('503', '0+1x20') },
      { ...requests('200', '0+90x20'), ...requests('404', '0+10x20') },
    ],
  },
  {
    alert: 'MeridianRequestFailures',
    series: { [`meridian_request_failures_total{${worker}}`]: '0 0 0 1x10' },
    at: '4m',
    notYet: '2m',
    labels: { region: 'fra' },
    summary: 'requests in fra failed for a reason that nobody foresaw',
    silent: [{ [`meridian_request_failures_total{${worker}}`]: '7x10' }],
  },
  {
    alert: 'MeridianSlowRequests',
    series: slowHeads({ 1: 98, 2: 98, 5: 100 }),
    at: '13m',
    notYet: '8m',
    labels: { region: 'fra', operation: 'HeadObject' },
    summary: '1 % of HeadObject in fra take longer than 3.5s',
    silent: [
      slowHeads({ 1: 98, 2: 100, 5: 100 }),
      // How long a body takes is the client's affair.
      histogram('meridian_request_duration_seconds', `${worker},operation="GetObject"`, { 1: 98, 2: 98, 5: 100 }),
    ],
  },
]

const syncs = (below: Readonly<Record<string, number>>): Series =>
  histogram('meridian_volume_sync_duration_seconds', volume, below)

const transactions = (below: Readonly<Record<string, number>>): Series =>
  histogram('meridian_transaction_duration_seconds', `${worker},driver="lmdb"`, below)

const volumeStates = (states: Readonly<Record<'room' | 'failed' | 'emptied', string>>): Series => ({
  [`meridian_volume_room_bytes{${volume}}`]: states.room,
  [`meridian_volume_failed{${volume}}`]: states.failed,
  [`meridian_volume_emptied{${volume}}`]: states.emptied,
})

const disks: readonly AlertCase[] = [
  {
    alert: 'MeridianVolumeFailed',
    series: { [`meridian_volume_failed{${volume}}`]: '0 0 1x5' },
    at: '2m',
    notYet: '1m',
    labels: ofVolume,
    summary: 'the volume volumes/0 of fra:9200 failed, and takes no writes',
    silent: [{ [`meridian_volume_failed{${volume}}`]: '0x5' }],
  },
  {
    alert: 'MeridianVolumeFull',
    series: volumeStates({ room: '0x10', failed: '0x10', emptied: '0x10' }),
    at: '6m',
    notYet: '4m',
    labels: ofVolume,
    summary: 'the volume volumes/0 of fra:9200 is full',
    silent: [
      volumeStates({ room: '1x10', failed: '0x10', emptied: '0x10' }),
      // MeridianVolumeFailed says so already.
      volumeStates({ room: '0x10', failed: '1x10', emptied: '0x10' }),
      // Somebody empties it, and knows.
      volumeStates({ room: '0x10', failed: '0x10', emptied: '1x10' }),
    ],
  },
  {
    alert: 'MeridianVolumeFillsUp',
    interval: '4m',
    series: {
      [`meridian_volume_free_bytes{${volume}}`]: '290-1x60',
      [`meridian_volume_size_bytes{${volume}}`]: '1000x60',
    },
    at: '2h',
    notYet: '30m',
    labels: { ...ofVolume, worker: '0' },
    summary: 'the volume volumes/0 of fra:9200 will be full within three days',
    silent: [
      { [`meridian_volume_free_bytes{${volume}}`]: '100x60', [`meridian_volume_size_bytes{${volume}}`]: '1000x60' },
      // Fast, but there is much: a day's upload is no trend.
      { [`meridian_volume_free_bytes{${volume}}`]: '900-5x60', [`meridian_volume_size_bytes{${volume}}`]: '1000x60' },
    ],
  },
  {
    alert: 'MeridianMetadataDiskFillsUp',
    series: {
      [`meridian_metadata_free_bytes{${worker}}`]: '5368709120x20',
      [`meridian_metadata_size_bytes{${worker}}`]: '107374182400x20',
    },
    at: '11m',
    notYet: '9m',
    labels: ofWorker,
    summary: 'the disk of the metadata of fra:9200 has 5GiB left',
    silent: [
      { [`meridian_metadata_free_bytes{${worker}}`]: '11x20', [`meridian_metadata_size_bytes{${worker}}`]: '100x20' },
    ],
  },
  {
    alert: 'MeridianSlowSync',
    series: syncs({ 0.25: 98, 0.5: 98, 1: 100 }),
    at: '13m',
    notYet: '8m',
    labels: ofVolume,
    summary: '1 % of the syncs of volumes/0 on fra:9200 take longer than 750ms',
    silent: [syncs({ 0.25: 98, 0.5: 100, 1: 100 })],
  },
  {
    alert: 'MeridianSlowTransactions',
    series: transactions({ 0.5: 98, 1: 98, 2: 100 }),
    at: '13m',
    notYet: '8m',
    labels: { region: 'fra', driver: 'lmdb' },
    summary: '1 % of the transactions in fra take longer than 1.5s',
    silent: [transactions({ 0.5: 98, 1: 100, 2: 100 })],
  },
  {
    alert: 'MeridianRetries',
    series: {
      [`meridian_transactions_total{${worker},driver="lmdb",outcome="committed"}`]: '0+10x20',
      [`meridian_transaction_retries_total{${worker},driver="lmdb"}`]: '0+30x20',
    },
    at: '13m',
    notYet: '8m',
    labels: { region: 'fra' },
    summary: 'transactions in fra run 3 times in vain before they commit',
    silent: [
      {
        [`meridian_transactions_total{${worker},driver="lmdb",outcome="committed"}`]: '0+10x20',
        [`meridian_transaction_retries_total{${worker},driver="lmdb"}`]: '0+9x20',
      },
    ],
  },
  {
    alert: 'MeridianDamage',
    series: { [`meridian_scrub_damaged_total{${worker}}`]: '0 0 1x5' },
    at: '3m',
    notYet: '1m',
    labels: ofNode,
    summary: 'bytes on fra:9200 are not as they were written',
    silent: [{ [`meridian_scrub_damaged_total{${worker}}`]: '1x5' }],
  },
  {
    alert: 'MeridianDamage',
    series: { [`meridian_volume_events_total{${worker},event="unreadable"}`]: '0 0 1x5' },
    at: '3m',
    notYet: '1m',
    labels: ofNode,
    summary: 'bytes on fra:9200 are not as they were written',
    silent: [{ [`meridian_volume_events_total{${worker},event="full"}`]: '0 0 1x5' }],
  },
]

const between: readonly AlertCase[] = [
  {
    alert: 'MeridianRegionUnreachable',
    series: { [`meridian_peer_up{${toPeer}}`]: '0x10', [`meridian_peer_up{${worker},peer="syd"}`]: '1x10' },
    at: '3m',
    notYet: '1m',
    labels: ofPeer,
    summary: 'fra does not reach iad',
    silent: [{ [`meridian_peer_up{${toPeer}}`]: '0 1x10' }],
  },
  {
    alert: 'MeridianFeedLag',
    series: { [`meridian_feed_lag_seconds{${toPeer}}`]: '90x10' },
    at: '6m',
    notYet: '4m',
    labels: ofPeer,
    summary: 'fra is 1m 30s behind iad',
    silent: [{ [`meridian_feed_lag_seconds{${toPeer}}`]: '59x10' }],
  },
  {
    alert: 'MeridianClockAhead',
    series: { [`meridian_peer_clock_ahead_seconds{${toPeer}}`]: '-0.45x10' },
    at: '3m',
    notYet: '1m',
    labels: ofPeer,
    summary: 'the clocks of fra and iad are 450ms apart',
    silent: [{ [`meridian_peer_clock_ahead_seconds{${toPeer}}`]: '0.39x10' }],
  },
  {
    alert: 'MeridianNamespaceStale',
    series: { [`meridian_namespace_stale{${worker}}`]: '0 1x5' },
    at: '1m',
    notYet: '0m',
    labels: { region: 'fra' },
    summary: 'fra has not heard from the root for too long, and refuses signed requests',
    silent: [{ [`meridian_namespace_stale{${worker}}`]: '0x5' }],
  },
  {
    alert: 'MeridianConflicts',
    // Counted from nothing, so that nothing is extrapolated.
    series: { [`meridian_conflicts_total{${toPeer}}`]: '_x30 0 2000x29' },
    at: '1h',
    notYet: '30m',
    labels: { region: 'fra' },
    summary: '2k writes in an hour lost to writes of other regions that had not seen them, as fra counts',
    silent: [{ [`meridian_conflicts_total{${toPeer}}`]: '_x30 0 900x29' }],
  },
  {
    alert: 'MeridianDeadLetters',
    series: { [`meridian_dead_letters{${worker},kind="notification"}`]: '0 3x5' },
    at: '1m',
    notYet: '0m',
    labels: { region: 'fra', kind: 'notification' },
    summary: '3 pieces of work of the kind "notification" were given up in fra',
    silent: [{ [`meridian_dead_letters{${worker},kind="notification"}`]: '0x5' }],
  },
  {
    alert: 'MeridianJobsPileUp',
    series: { [`meridian_jobs_waiting{${worker},kind="fetch-blob"}`]: '6000x30' },
    at: '16m',
    notYet: '14m',
    labels: { region: 'fra', kind: 'fetch-blob' },
    summary: '6000 pieces of work of the kind "fetch-blob" wait in fra',
    silent: [{ [`meridian_jobs_waiting{${worker},kind="fetch-blob"}`]: '4999x30' }],
  },
]

export const alertCases: readonly AlertCase[] = [...processes, ...asked, ...disks, ...between]
