export interface Panel {
  readonly title: string
  readonly what: string
  readonly unit: string
  /** PromQL, and what its series are called. */
  readonly queries: readonly (readonly [expression: string, legend: string])[]
  /** Of the 24 columns; default: a third. */
  readonly width?: number
  readonly kind?: 'timeseries' | 'stat'
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly rows: readonly Row[]
}

/** Words of PromQL that all dashboards use: of the regions that are chosen. */
const here = 'region=~"$region"'

export const rate = (metric: string, matchers = ''): string =>
  `rate(${metric}{${here}${matchers === '' ? '' : `, ${matchers}`}}[$__rate_interval])`
export const sum = (by: string, expression: string): string => `sum by (${by}) (${expression})`
export const max = (by: string, expression: string): string => `max by (${by}) (${expression})`
export const of = (metric: string, matchers = ''): string =>
  `${metric}{${here}${matchers === '' ? '' : `, ${matchers}`}}`
export const withinHour = (by: string, metric: string): string => sum(by, `increase(${of(metric)}[1h])`)
export const quantile = (share: number, by: string, metric: string, matchers = ''): string =>
  `histogram_quantile(${share}, ${sum(`${by}, le`, rate(`${metric}_bucket`, matchers))})`
/** The median and the 99th percentile, and what their series are called. */
export const quantiles = (by: string, metric: string): readonly (readonly [expression: string, legend: string])[] => {
  const series = by.split(', ').map((label) => `{{${label}}}`)
  return [
    [quantile(0.5, by, metric), [...series, 'median'].join(' ')],
    [quantile(0.99, by, metric), [...series, '99 %'].join(' ')],
  ]
}

/** Errors are none, and not unknown, where requests are answered and none badly. */
export const badly = (by: string): string => {
  const all = sum(by, rate('meridian_requests_total'))
  return `(${sum(by, rate('meridian_requests_total', 'status=~"5.."'))} or ${all} * 0) / ${all}`
}
