import type { Definition } from './metrics.ts'

/** Of requests, in seconds: from what the page cache answers to a large body on a slow line. */
const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** Of transactions and syncs, in seconds. A transaction ends after five. */
const diskSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
/** Up to what a transaction may have. */
const transactionBytes = [1e3, 1e4, 1e5, 1e6, 1e7]

const counter = (name: string, help: string, ...labels: readonly string[]): Definition => ({
  name,
  kind: 'counter',
  help,
  labels,
})
const gauge = (name: string, help: string, ...labels: readonly string[]): Definition => ({
  name,
  kind: 'gauge',
  help,
  labels,
})
const histogram = (
  name: string,
  help: string,
  bounds: readonly number[],
  ...labels: readonly string[]
): Definition => ({ name, kind: 'histogram', help, labels, bounds })

/** Every metric there is. docs/metrics.md is printed from here, and dashboards and rules are compared with it. */
export const catalogue = {
  requests: counter(
    'meridian_requests_total',
    'Requests that were answered, by S3 operation (a method: it was refused before that was known; Forwarded: another region carried it out) and HTTP status.',
    'operation',
    'status',
  ),
  requestSeconds: histogram(
    'meridian_request_duration_seconds',
    'From the head of a request to the end of its answer.',
    requestSeconds,
    'operation',
  ),
  receivedBytes: counter(
    'meridian_received_bytes_total',
    'Bytes of requests, heads included, as they came from the connection.',
    'operation',
  ),
  sentBytes: counter('meridian_sent_bytes_total', 'Bytes of answers, heads included.', 'operation'),
  requestsUnderWay: gauge('meridian_requests_in_progress', 'Requests whose answer has not ended.'),
  requestFailures: counter(
    'meridian_request_failures_total',
    'Requests that failed for a reason that nobody foresaw: each is an error in the log.',
  ),
  connections: gauge('meridian_connections', 'Open connections of clients.'),

  transactions: counter(
    'meridian_transactions_total',
    'Transactions of the metadata that ended, by driver; failed: without a commit, because the body or the store threw.',
    'driver',
    'outcome',
  ),
  transactionRetries: counter(
    'meridian_transaction_retries_total',
    'Runs of transactions that came to nothing, mostly since another one had changed what they read.',
    'driver',
  ),
  transactionSeconds: histogram(
    'meridian_transaction_duration_seconds',
    'From the begin of a transaction to its commit on stable storage, retries included.',
    diskSeconds,
    'driver',
  ),
  transactionBytes: histogram(
    'meridian_transaction_size_bytes',
    'What a transaction read and wrote, as it counts against the limit of 10 MB.',
    transactionBytes,
    'driver',
  ),
  metadataRoom: gauge(
    'meridian_metadata_free_bytes',
    "Free bytes of the disk that the metadata's file is on, what is free within the file included.",
  ),
  metadataSize: gauge('meridian_metadata_size_bytes', "Size of the disk that the metadata's file is on."),

  volumeBytes: gauge('meridian_volume_used_bytes', "Bytes of a volume's segments, dead ones included.", 'volume'),
  volumeDead: gauge(
    'meridian_volume_dead_bytes',
    'Of them, bytes that nothing names any more, as far as was counted: compaction gives them back.',
    'volume',
  ),
  volumeSegments: gauge('meridian_volume_segments', 'Segments of a volume.', 'volume'),
  volumeFree: gauge('meridian_volume_free_bytes', 'Free bytes of the file system that a volume is on.', 'volume'),
  volumeSize: gauge('meridian_volume_size_bytes', 'Size of the file system that a volume is on.', 'volume'),
  volumeRoom: gauge(
    'meridian_volume_room_bytes',
    'What bodies may still take of a volume: without the reserve, and 0 where it takes no writes.',
    'volume',
  ),
  volumeFailed: gauge(
    'meridian_volume_failed',
    '1 for a volume that takes no writes since its disk failed, until it is checked.',
    'volume',
  ),
  volumeEmptied: gauge(
    'meridian_volume_emptied',
    '1 for a volume that takes no writes since somebody empties it, or has.',
    'volume',
  ),
  volumeEvents: counter(
    'meridian_volume_events_total',
    'What was told of volumes: full, roomy, retired, emptying, restored, unreadable.',
    'event',
  ),
  syncSeconds: histogram(
    'meridian_volume_sync_duration_seconds',
    'How long the disk of a volume took to make bytes durable (fdatasync).',
    diskSeconds,
    'volume',
  ),

  cacheHits: counter('meridian_cache_hits_total', 'Chunks of other regions that the cache had.'),
  cacheMisses: counter('meridian_cache_misses_total', 'Chunks of other regions that the cache did not have.'),
  cacheBytes: gauge('meridian_cache_bytes', 'Bytes that the cache takes on all volumes.'),
  cacheBudget: gauge('meridian_cache_budget_bytes', 'Bytes that the cache may take.'),
  cacheEvictions: counter(
    'meridian_cache_evictions_total',
    'Segments of the cache that were removed, for want of room or since they were old.',
  ),
  remoteBytes: counter(
    'meridian_remote_bytes_total',
    'Bytes that were fetched from another region, by the region that gave them.',
    'peer',
  ),
  remoteFailures: counter(
    'meridian_remote_failures_total',
    'Regions that were asked for bytes and did not give them, or gave wrong ones: the next one was asked.',
  ),
  copiesTaken: counter(
    'meridian_copies_taken_total',
    'Blobs of other regions that got a durable copy here: since they were read often, or their bucket asks for it.',
  ),
  repairs: counter('meridian_repairs_total', 'Damaged copies that were replaced by what another region holds.'),

  feedLagSeconds: gauge(
    'meridian_feed_lag_seconds',
    "How long ago all that a region had to tell was applied here; 0 while this region waits for that one's next change.",
    'peer',
  ),
  feedLagEntries: gauge(
    'meridian_feed_lag_entries',
    "Entries of a region's feed that were not applied here yet, as that region counts them, up to 10,000.",
    'peer',
  ),
  feedRecords: counter('meridian_feed_records_total', 'Records of other regions that came.', 'peer'),
  feedFailures: counter('meridian_feed_failures_total', "Times that following a region's feed failed.", 'peer'),
  conflicts: counter(
    'meridian_conflicts_total',
    'Versions that lost to a write of another region that had not seen them; they are kept (meridian conflicts).',
    'peer',
  ),
  peerUp: gauge('meridian_peer_up', '1 where a region answers.', 'peer'),
  peerSeconds: gauge('meridian_peer_round_trip_seconds', 'Round trip to a region, smoothed.', 'peer'),
  peerAhead: gauge(
    'meridian_peer_clock_ahead_seconds',
    "How far a region's clock is ahead of this one's, give or take half a round trip.",
    'peer',
  ),
  isServing: gauge('meridian_region_serving', '1 where this region takes requests itself; 0 while it joins.'),
  isStale: gauge(
    'meridian_namespace_stale',
    '1 where this region has not heard from the root for longer than --auth-staleness, and refuses signed requests.',
  ),

  jobsWaiting: gauge(
    'meridian_jobs_waiting',
    'Background work that waits, by kind, counted up to 10,000; `publish` and `deliver`, of notifications, up to 500.',
    'kind',
  ),
  jobsDone: counter(
    'meridian_jobs_total',
    'Jobs of the queue that ended: done, failed (tried again) or given_up.',
    'kind',
    'outcome',
  ),
  deadLetters: gauge(
    'meridian_dead_letters',
    'Work that was given up and waits for people, by kind, counted up to 10,000; `notification` up to 500.',
    'kind',
  ),

  scrubbedBlobs: counter('meridian_scrubbed_blobs_total', 'Blobs that the scrubber read and verified.'),
  scrubbedBytes: counter('meridian_scrubbed_bytes_total', 'Bytes of them.'),
  scrubDamaged: counter('meridian_scrub_damaged_total', 'Blobs and values that the scrubber found damaged.'),
  scrubEnded: gauge(
    'meridian_scrub_completed_timestamp_seconds',
    'When the scrubber had last read everything, since this process began; 0: not yet.',
  ),
  healed: counter(
    'meridian_healed_records_total',
    'Records that were missing here, and that anti-entropy took over from a region.',
    'peer',
  ),
  compacted: counter('meridian_compacted_segments_total', 'Segments that were compacted.'),

  spansExported: counter('meridian_trace_spans_exported_total', 'Spans of traces that the collector took.'),
  spansDropped: counter(
    'meridian_trace_spans_dropped_total',
    'Spans that came to nothing: more waited than may, or the collector refused them.',
  ),

  workerUp: gauge('meridian_worker_up', '1 for a process that told what it measured; 0 for one that did not in time.'),
  isReady: gauge('meridian_ready', '1 for a process that would answer /-/ready with 200.'),
  build: gauge('meridian_build_info', 'Always 1; the labels tell what runs.', 'version', 'node'),
  loopDelay: gauge(
    'meridian_event_loop_delay_seconds',
    'How late timers of a process ran within the last look of at least 10 s: the median, the 99th percentile, the largest (100).',
    'percentile',
  ),
  loopUse: counter('meridian_event_loop_active_seconds_total', 'Time that the event loop of a process was busy.'),
  heap: gauge('meridian_heap_used_bytes', "What is in use of V8's heap."),
  external: gauge('meridian_external_memory_bytes', 'Memory of buffers and the like outside the heap.'),
  cpu: counter('process_cpu_seconds_total', 'User and system time that a process spent.'),
  resident: gauge('process_resident_memory_bytes', 'Resident memory of a process.'),
  started: gauge('process_start_time_seconds', 'When a process began, since the epoch.'),
  files: gauge('process_open_fds', 'Open file descriptors of a process, where the system tells.'),
} as const satisfies Readonly<Record<string, Definition>>

export const definitions: readonly Definition[] = Object.values(catalogue)

/** The table of docs/metrics.md. */
export function metricsTable(): string {
  const rows = definitions.map(({ name, kind, labels, help }) => {
    const all = labels.map((each) => `\`${each}\``).join(', ')
    return `| \`${name}\` | ${kind} | ${all} | ${help} |`
  })
  return ['| metric | kind | labels | what it tells |', '|---|---|---|---|', ...rows].join('\n')
}
