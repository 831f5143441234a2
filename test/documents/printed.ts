import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { metricsTable } from '#src/telemetry/catalogue.ts'
import { dashboardJson, dashboards } from '../../deploy/grafana/dashboards.ts'
import { chartSchema } from './chart-schema.ts'
import { exampleRows, namespaceTable, subspaceTable } from './keyspace.ts'
import { operationsSummary, operationsTable } from './operations.ts'

/** The pieces of documents that are printed from the code, each between two comments that name it. */
export const root = join(import.meta.dirname, '../..')

const printed: readonly {
  readonly file: string
  readonly name: string
  readonly print: () => string | Promise<string>
}[] = [
  { file: 'docs/keyspace.md', name: 'subspaces', print: subspaceTable },
  { file: 'docs/keyspace.md', name: 'namespace', print: namespaceTable },
  { file: 'docs/keyspace.md', name: 'example', print: exampleRows },
  { file: 'docs/metrics.md', name: 'metrics', print: metricsTable },
  { file: 'docs/s3-operations.md', name: 'summary', print: operationsSummary },
  { file: 'docs/s3-operations.md', name: 'operations', print: operationsTable },
]

export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** Each document that has printed pieces, each dashboard, and what the chart takes: as it is, and as it would be printed now. */
export async function printedDocuments(): Promise<ReadonlyMap<string, { readonly is: string; readonly now: string }>> {
  const documents = new Map<string, { is: string; now: string }>()
  for (const { file, name, print } of printed) {
    const known = documents.get(file) ?? { is: read(file), now: read(file) }
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const [from, to] = [known.now.indexOf(begin), known.now.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`${file} has no place for ${name}`)
    const now = `${known.now.slice(0, from)}${begin}\n${await print()}\n${known.now.slice(to)}`
    documents.set(file, { ...known, now })
  }
  for (const dashboard of dashboards) {
    const file = `deploy/grafana/dashboards/${dashboard.uid}.json`
    documents.set(file, { is: existsSync(join(root, file)) ? read(file) : '', now: dashboardJson(dashboard) })
  }
  const schema = 'deploy/kubernetes/meridian/values.schema.json'
  documents.set(schema, { is: read(schema), now: chartSchema() })
  return documents
}
