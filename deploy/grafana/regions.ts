import { type Dashboard, max, of, rate, sum } from './panels.ts'

export const regions: Dashboard = {
  uid: 'meridian-regions',
  title: 'Meridian: regions',
  rows: [
    {
      title: 'Following each other',
      panels: [
        {
          title: 'Behind, in time',
          what: 'How long ago a region had all that a peer had to tell; 0 while it waits for the next change.',
          unit: 's',
          queries: [[max('region, peer', of('meridian_feed_lag_seconds')), '{{region}} behind {{peer}}']],
        },
        {
          title: 'Behind, in entries',
          what: 'Entries of the peer that were not applied yet, counted up to 10,000.',
          unit: 'short',
          queries: [[max('region, peer', of('meridian_feed_lag_entries')), '{{region}} behind {{peer}}']],
        },
        {
          title: 'Records that come',
          what: 'A second.',
          unit: 'ops',
          queries: [[sum('region, peer', rate('meridian_feed_records_total')), '{{region}} from {{peer}}']],
        },
        {
          title: 'Conflicts',
          what: 'Writes that lost to others that had not seen them, a second.',
          unit: 'ops',
          queries: [[sum('region, peer', rate('meridian_conflicts_total')), '{{region}} from {{peer}}']],
        },
        {
          title: 'Failures',
          what: 'Times that following failed, a second.',
          unit: 'ops',
          queries: [[sum('region, peer', rate('meridian_feed_failures_total')), '{{region}} from {{peer}}']],
        },
        {
          title: 'Healed',
          what: 'Records that anti-entropy found missing and took over, a second.',
          unit: 'ops',
          queries: [[sum('region, peer', rate('meridian_healed_records_total')), '{{region}} from {{peer}}']],
        },
      ],
    },
    {
      title: 'Peers',
      panels: [
        {
          title: 'Answers',
          what: '1 where a peer answers.',
          unit: 'short',
          queries: [[`min by (region, peer) (${of('meridian_peer_up')})`, '{{region}} to {{peer}}']],
        },
        {
          title: 'Round trips',
          what: 'Smoothed.',
          unit: 's',
          queries: [[`min by (region, peer) (${of('meridian_peer_round_trip_seconds')})`, '{{region}} to {{peer}}']],
        },
        {
          title: 'Clocks',
          what: 'How far the peer is ahead; one that is 0.5 s ahead takes no writes.',
          unit: 's',
          queries: [[max('region, peer', of('meridian_peer_clock_ahead_seconds')), '{{peer}} before {{region}}']],
        },
        {
          title: 'Serving',
          what: '1 where a region takes requests itself; 0 while it joins.',
          unit: 'short',
          width: 12,
          queries: [[`min by (region) (${of('meridian_region_serving')})`, '{{region}}']],
        },
        {
          title: 'Out of touch with the root',
          what: '1 where signed requests are refused for it.',
          unit: 'short',
          width: 12,
          queries: [[max('region', of('meridian_namespace_stale')), '{{region}}']],
        },
      ],
    },
    {
      title: 'Bytes on demand',
      panels: [
        {
          title: 'Found in the cache',
          what: 'Share of the chunks of other regions that the cache had.',
          unit: 'percentunit',
          queries: [
            [
              `${sum('region', rate('meridian_cache_hits_total'))} / (${sum('region', rate('meridian_cache_hits_total'))} + ${sum('region', rate('meridian_cache_misses_total'))})`,
              '{{region}}',
            ],
          ],
        },
        {
          title: 'Fetched',
          what: 'Bytes a second, by the region that gave them.',
          unit: 'Bps',
          queries: [[sum('region, peer', rate('meridian_remote_bytes_total')), '{{region}} from {{peer}}']],
        },
        {
          title: 'Durable copies taken',
          what: 'Blobs a second that were read often, or whose bucket asks for it.',
          unit: 'ops',
          queries: [[sum('region', rate('meridian_copies_taken_total')), '{{region}}']],
        },
        {
          title: 'The cache',
          what: 'Bytes it takes, and may take.',
          unit: 'bytes',
          queries: [
            [max('region', of('meridian_cache_bytes')), '{{region}}'],
            [max('region', of('meridian_cache_budget_bytes')), '{{region}} at most'],
          ],
        },
        {
          title: 'Evicted',
          what: 'Segments of the cache a second.',
          unit: 'ops',
          queries: [[sum('region', rate('meridian_cache_evictions_total')), '{{region}}']],
        },
        {
          title: 'Sources that failed, repairs',
          what: 'Regions that did not give bytes they should have, and damaged copies that were replaced.',
          unit: 'ops',
          queries: [
            [sum('region', rate('meridian_remote_failures_total')), '{{region}} failed'],
            [sum('region', rate('meridian_repairs_total')), '{{region}} repaired'],
          ],
        },
      ],
    },
    {
      title: 'Work',
      panels: [
        {
          title: 'Waiting',
          what: 'By kind.',
          unit: 'short',
          queries: [[max('region, kind', of('meridian_jobs_waiting')), '{{region}} {{kind}}']],
        },
        {
          title: 'Ended',
          what: 'Jobs a second.',
          unit: 'ops',
          queries: [[sum('region, kind, outcome', rate('meridian_jobs_total')), '{{region}} {{kind}} {{outcome}}']],
        },
        {
          title: 'Given up',
          what: 'Dead letters.',
          unit: 'short',
          queries: [[max('region, kind', of('meridian_dead_letters')), '{{region}} {{kind}}']],
        },
      ],
    },
  ],
}
