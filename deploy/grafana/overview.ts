import { badly, type Dashboard, max, of, quantile, rate, sum } from './panels.ts'

export const overview: Dashboard = {
  uid: 'meridian-overview',
  title: 'Meridian: overview',
  rows: [
    {
      title: 'Now',
      panels: [
        {
          title: 'Processes',
          what: 'Processes that serve and answer.',
          unit: 'short',
          kind: 'stat',
          width: 4,
          queries: [[sum('region', of('meridian_worker_up')), '{{region}}']],
        },
        {
          title: 'Ready',
          what: 'Share of the processes that should get requests.',
          unit: 'percentunit',
          kind: 'stat',
          width: 4,
          queries: [[`avg by (region) (${of('meridian_ready')})`, '{{region}}']],
        },
        {
          title: 'Farthest behind',
          what: 'How long ago a region had all that another one had to tell.',
          unit: 's',
          kind: 'stat',
          width: 4,
          queries: [[max('region', of('meridian_feed_lag_seconds')), '{{region}}']],
        },
        {
          title: 'Failed volumes',
          what: 'Volumes that take no writes until they are checked.',
          unit: 'short',
          kind: 'stat',
          width: 4,
          queries: [[sum('region', of('meridian_volume_failed')), '{{region}}']],
        },
        {
          title: 'Free on volumes',
          what: 'Least free share of a disk.',
          unit: 'percentunit',
          kind: 'stat',
          width: 4,
          queries: [
            [
              `min by (region) (${of('meridian_volume_free_bytes')} / ${of('meridian_volume_size_bytes')})`,
              '{{region}}',
            ],
          ],
        },
        {
          title: 'Dead letters',
          what: 'Work that was given up and waits for people.',
          unit: 'short',
          kind: 'stat',
          width: 4,
          queries: [[sum('region', of('meridian_dead_letters')), '{{region}}']],
        },
      ],
    },
    {
      title: 'Requests',
      panels: [
        {
          title: 'Requests',
          what: 'Answered a second.',
          unit: 'reqps',
          queries: [[sum('region', rate('meridian_requests_total')), '{{region}}']],
        },
        {
          title: 'Answered 5xx',
          what: 'Share of the requests.',
          unit: 'percentunit',
          queries: [[badly('region'), '{{region}}']],
        },
        {
          title: 'Slowest 1 %',
          what: '99th percentile of the time from head to end, all operations; large bodies take long by themselves.',
          unit: 's',
          queries: [[quantile(0.99, 'region', 'meridian_request_duration_seconds'), '{{region}}']],
        },
        {
          title: 'Bytes in and out',
          what: 'Of clients, heads included.',
          unit: 'Bps',
          queries: [
            [sum('region', rate('meridian_received_bytes_total')), '{{region}} in'],
            [sum('region', rate('meridian_sent_bytes_total')), '{{region}} out'],
          ],
        },
        {
          title: 'Bytes from other regions',
          what: 'Fetched since they were read here and are held elsewhere.',
          unit: 'Bps',
          queries: [[sum('region', rate('meridian_remote_bytes_total')), '{{region}}']],
        },
        {
          title: 'Transactions',
          what: 'Of the metadata, committed a second.',
          unit: 'ops',
          queries: [[sum('region', rate('meridian_transactions_total', 'outcome="committed"')), '{{region}}']],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          title: 'Processors',
          what: 'Cores that are used.',
          unit: 'short',
          queries: [[sum('region', rate('process_cpu_seconds_total')), '{{region}}']],
        },
        {
          title: 'Memory',
          what: 'Resident.',
          unit: 'bytes',
          queries: [[sum('region', of('process_resident_memory_bytes')), '{{region}}']],
        },
        {
          title: 'Late timers',
          what: 'How late the event loop was for 1 % of them.',
          unit: 's',
          queries: [
            [
              max('region, worker', of('meridian_event_loop_delay_seconds', 'percentile="99"')),
              '{{region}} {{worker}}',
            ],
          ],
        },
      ],
    },
  ],
}
