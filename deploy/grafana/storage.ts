import { type Dashboard, max, of, quantiles, rate, sum, withinHour } from './panels.ts'

export const storage: Dashboard = {
  uid: 'meridian-storage',
  title: 'Meridian: storage',
  rows: [
    {
      title: 'Volumes',
      panels: [
        {
          title: 'Used',
          what: 'Bytes of segments, dead ones included.',
          unit: 'bytes',
          queries: [[sum('region, volume', of('meridian_volume_used_bytes')), '{{region}} {{volume}}']],
        },
        {
          title: 'Dead',
          what: 'Share of them that compaction will give back.',
          unit: 'percentunit',
          queries: [
            [
              `${sum('region', of('meridian_volume_dead_bytes'))} / clamp_min(${sum('region', of('meridian_volume_used_bytes'))}, 1)`,
              '{{region}}',
            ],
          ],
        },
        {
          title: 'Room for bodies',
          what: 'Without the reserve; 0 where a volume takes no writes.',
          unit: 'bytes',
          queries: [[max('region, volume', of('meridian_volume_room_bytes')), '{{region}} {{volume}}']],
        },
        {
          title: 'Syncs',
          what: 'How long the disk takes to make bytes durable.',
          unit: 's',
          queries: quantiles('region', 'meridian_volume_sync_duration_seconds'),
        },
        {
          title: 'Segments, compacted',
          what: 'Segments there are, and those that were compacted within an hour.',
          unit: 'short',
          queries: [
            [sum('region', of('meridian_volume_segments')), '{{region}}'],
            [withinHour('region', 'meridian_compacted_segments_total'), '{{region}} compacted'],
          ],
        },
        {
          title: 'Failed, emptied, and what was told',
          what: 'Volumes that take no writes; events within an hour.',
          unit: 'short',
          queries: [
            [sum('region', of('meridian_volume_failed')), '{{region}} failed'],
            [sum('region', of('meridian_volume_emptied')), '{{region}} emptied'],
            [withinHour('region, event', 'meridian_volume_events_total'), '{{region}} {{event}}'],
          ],
        },
      ],
    },
    {
      title: 'Metadata',
      panels: [
        {
          title: 'Transactions',
          what: 'That ended, a second.',
          unit: 'ops',
          queries: [
            [sum('region, driver, outcome', rate('meridian_transactions_total')), '{{region}} {{driver}} {{outcome}}'],
          ],
        },
        {
          title: 'Time of transactions',
          what: 'From begin to stable storage, retries included.',
          unit: 's',
          queries: quantiles('region, driver', 'meridian_transaction_duration_seconds'),
        },
        {
          title: 'In vain',
          what: 'Runs that came to nothing, for each that ended.',
          unit: 'short',
          queries: [
            [
              `${sum('region, driver', rate('meridian_transaction_retries_total'))} / ${sum('region, driver', rate('meridian_transactions_total'))}`,
              '{{region}} {{driver}}',
            ],
          ],
        },
        {
          title: 'Size of transactions',
          what: 'What counts against the limit of 10 MB.',
          unit: 'bytes',
          queries: quantiles('region, driver', 'meridian_transaction_size_bytes'),
        },
        {
          title: 'Free for metadata',
          what: 'Of the disk of embedded metadata, with what is free within the file.',
          unit: 'bytes',
          queries: [
            [max('region', of('meridian_metadata_free_bytes')), '{{region}} free'],
            [max('region', of('meridian_metadata_size_bytes')), '{{region}} size'],
          ],
        },
      ],
    },
    {
      title: 'Reading everything again',
      panels: [
        {
          title: 'Scrubbed',
          what: 'Bytes verified a second.',
          unit: 'Bps',
          queries: [[sum('region', rate('meridian_scrubbed_bytes_total')), '{{region}}']],
        },
        {
          title: 'Scrubbed blobs, damage',
          what: 'Since the processes began.',
          unit: 'short',
          queries: [
            [sum('region', of('meridian_scrubbed_blobs_total')), '{{region}} verified'],
            [sum('region', of('meridian_scrub_damaged_total')), '{{region}} damaged'],
          ],
        },
        {
          title: 'Last whole round',
          what: 'When everything had been read; the epoch: not since the processes began.',
          unit: 'dateTimeAsIso',
          kind: 'stat',
          queries: [[`${max('region', of('meridian_scrub_completed_timestamp_seconds'))} * 1000`, '{{region}}']],
        },
      ],
    },
  ],
}
