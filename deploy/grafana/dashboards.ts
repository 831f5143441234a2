import { overview } from './overview.ts'
import type { Dashboard, Panel, Row } from './panels.ts'
import { regions } from './regions.ts'
import { requests } from './requests.ts'
import { storage } from './storage.ts'

/** The dashboards; Grafana's JSON in dashboards/ is printed from them (`npm run documents`). */
export const dashboards: readonly Dashboard[] = [overview, regions, storage, requests]

/** All PromQL of a dashboard, with the title of its panel. */
export const queriesOf = ({ rows }: Dashboard): readonly { readonly title: string; readonly expression: string }[] =>
  rows.flatMap(({ panels }) =>
    panels.flatMap(({ title, queries }) => queries.map(([expression]) => ({ title, expression }))),
  )

const height = 8
const columns = 24
/** A variable of the dashboard's own: whatever the Prometheus of a Grafana is called. */
const datasource = { type: 'prometheus', uid: '$datasource' }

function panelJson(
  { title, what, unit, queries, width = 8, kind = 'timeseries' }: Panel,
  id: number,
  x: number,
  y: number,
) {
  const custom = { lineWidth: 1, fillOpacity: 8, showPoints: 'never', spanNulls: true }
  return {
    id,
    title,
    description: what,
    type: kind,
    datasource,
    gridPos: { x, y, w: width, h: kind === 'stat' ? height / 2 : height },
    fieldConfig: {
      defaults: { unit, ...(kind === 'timeseries' && { custom, min: 0 }) },
      overrides: [],
    },
    options:
      kind === 'stat'
        ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'none', graphMode: 'area', textMode: 'auto' }
        : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource,
      expr,
      legendFormat,
    })),
  }
}

function panelsJson(rows: readonly Row[]): readonly object[] {
  const panels: object[] = []
  let y = 0
  for (const { title, panels: own } of rows) {
    panels.push({ id: panels.length + 1, type: 'row', title, collapsed: false, gridPos: { x: 0, y, w: columns, h: 1 } })
    y += 1
    let x = 0
    let tallest = 0
    for (const panel of own) {
      const width = panel.width ?? columns / 3
      if (x + width > columns) {
        x = 0
        y += tallest
        tallest = 0
      }
      panels.push(panelJson(panel, panels.length + 1, x, y))
      x += width
      tallest = Math.max(tallest, panel.kind === 'stat' ? height / 2 : height)
    }
    y += tallest
  }
  return panels
}

const variables = [
  { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus', current: {}, hide: 0 },
  {
    name: 'region',
    type: 'query',
    label: 'Region',
    datasource,
    query: { query: 'label_values(meridian_build_info, region)', refId: 'region' },
    definition: 'label_values(meridian_build_info, region)',
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { selected: true, text: ['All'], value: ['$__all'] },
  },
]

/** What Grafana 9 and later loads. */
export const dashboardJson = ({ uid, title, rows }: Dashboard): string =>
  `${JSON.stringify(
    {
      uid,
      title,
      tags: ['meridian'],
      timezone: 'browser',
      schemaVersion: 37,
      version: 1,
      editable: true,
      refresh: '30s',
      time: { from: 'now-3h', to: 'now' },
      links: [{ type: 'dashboards', tags: ['meridian'], title: 'Meridian', asDropdown: true, keepTime: true }],
      templating: { list: variables },
      panels: panelsJson(rows),
    },
    undefined,
    2,
  )}\n`
