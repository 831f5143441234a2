import { badly, type Dashboard, of, quantile, rate, sum } from './panels.ts'

export const requests: Dashboard = {
  uid: 'meridian-s3',
  title: 'Meridian: S3 API',
  rows: [
    {
      title: 'Operations',
      panels: [
        {
          title: 'Requests by operation',
          what: 'A second. Forwarded: another region carried it out. A method: refused before the operation was known.',
          unit: 'reqps',
          width: 12,
          queries: [[sum('operation', rate('meridian_requests_total')), '{{operation}}']],
        },
        {
          title: 'Requests by status',
          what: 'A second.',
          unit: 'reqps',
          width: 12,
          queries: [[sum('status', rate('meridian_requests_total')), '{{status}}']],
        },
        {
          title: 'Median time',
          what: 'From the head of a request to the end of its answer.',
          unit: 's',
          width: 12,
          queries: [[quantile(0.5, 'operation', 'meridian_request_duration_seconds'), '{{operation}}']],
        },
        {
          title: '99th percentile',
          what: 'From the head of a request to the end of its answer.',
          unit: 's',
          width: 12,
          queries: [[quantile(0.99, 'operation', 'meridian_request_duration_seconds'), '{{operation}}']],
        },
        {
          title: 'Answered 5xx',
          what: 'Share, by operation.',
          unit: 'percentunit',
          width: 12,
          queries: [[badly('operation'), '{{operation}}']],
        },
        {
          title: 'Refused',
          what: 'Answered 4xx, a second, by status and operation.',
          unit: 'reqps',
          width: 12,
          queries: [
            [sum('operation, status', rate('meridian_requests_total', 'status=~"4.."')), '{{operation}} {{status}}'],
          ],
        },
      ],
    },
    {
      title: 'Connections and bytes',
      panels: [
        {
          title: 'Bytes in',
          what: 'By operation.',
          unit: 'Bps',
          queries: [[sum('operation', rate('meridian_received_bytes_total')), '{{operation}}']],
        },
        {
          title: 'Bytes out',
          what: 'By operation.',
          unit: 'Bps',
          queries: [[sum('operation', rate('meridian_sent_bytes_total')), '{{operation}}']],
        },
        {
          title: 'Connections, requests under way',
          what: 'Open now.',
          unit: 'short',
          queries: [
            [sum('region', of('meridian_connections')), '{{region}} connections'],
            [sum('region', of('meridian_requests_in_progress')), '{{region}} requests'],
          ],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          title: 'Unforeseen failures',
          what: 'Each is an error in the log.',
          unit: 'ops',
          queries: [[sum('region', rate('meridian_request_failures_total')), '{{region}}']],
        },
        {
          title: 'Event loop',
          what: 'Share of the time that it was busy.',
          unit: 'percentunit',
          queries: [[sum('region, worker', rate('meridian_event_loop_active_seconds_total')), '{{region}} {{worker}}']],
        },
        {
          title: 'Memory, files',
          what: 'Heap and buffers; open files.',
          unit: 'bytes',
          queries: [
            [sum('region', of('meridian_heap_used_bytes')), '{{region}} heap'],
            [sum('region', of('meridian_external_memory_bytes')), '{{region}} buffers'],
            [sum('region', of('process_open_fds')), '{{region}} files'],
          ],
        },
        {
          title: 'Spans of traces',
          what: 'Taken by the collector; dropped, since it did not take them.',
          unit: 'ops',
          queries: [
            [sum('region', rate('meridian_trace_spans_exported_total')), '{{region}} taken'],
            [sum('region', rate('meridian_trace_spans_dropped_total')), '{{region}} dropped'],
          ],
        },
      ],
    },
  ],
}
