import { operation, type S3Request } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import { dayOf, parseDay, type UsageRow } from '#src/model/usage.ts'
import type { UsageQuery } from '#src/service/usage.ts'

const invalid = (name: string, value: string, message: string): Fault =>
  new Fault('InvalidArgument', { message, ArgumentName: name, ArgumentValue: value })

type Asked = Omit<UsageQuery, 'account'> & { readonly account: string | undefined; readonly isCsv: boolean }

function dayIn(query: S3Request['query'], name: 'from' | 'to'): number {
  const text = query.get(name)
  const day = text === undefined ? dayOf(Date.now()) : parseDay(text)
  if (day === undefined) throw invalid(name, text ?? '', `${name} is a day such as 2026-11-28.`)
  return day
}

function decode({ query }: S3Request): Asked {
  const by = query.get('by') ?? 'day'
  if (by !== 'day' && by !== 'month') throw invalid('by', by, 'by is day or month.')
  const format = query.get('format') ?? 'json'
  if (format !== 'json' && format !== 'csv') throw invalid('format', format, 'format is json or csv.')
  const bucket = query.get('bucket')
  const [from, to] = [dayIn(query, 'from'), dayIn(query, 'to')]
  if (from > to) throw invalid('from', query.get('from') ?? '', 'from is not after to.')
  const account = query.get('account')
  return { by, from, to, account, isCsv: format === 'csv', ...(bucket !== undefined && { bucket }) }
}

const columns = ['period', 'account', 'bucket', 'region', 'metric', 'class', 'value'] as const

/** https://www.rfc-editor.org/rfc/rfc4180; no field that we write begins as a spreadsheet's formula does. */
const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

const line = (row: UsageRow): string => `${columns.map((name) => field(String(row[name]))).join(',')}\r\n`

async function* csv(rows: AsyncIterable<UsageRow>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${columns.join(',')}\r\n`)
  for await (const row of rows) yield Buffer.from(line(row))
}

/** Numbers as JSON has them, or in quotes where those are not exact any more. */
const numberOf = (value: bigint): number | string =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(value) : String(value)

async function* json(rows: AsyncIterable<UsageRow>): AsyncGenerator<Uint8Array> {
  let before = '{"usage":['
  for await (const row of rows) {
    yield Buffer.from(`${before}\n${JSON.stringify({ ...row, value: numberOf(row.value) })}`)
    before = ','
  }
  yield Buffer.from(`${before === ',' ? '' : before}\n]}\n`)
}

/** Ours: what the caller's account used, or, for administrators, any or all; see docs/usage.md. */
export const getUsage = operation({
  name: 'GetUsage',
  match: { method: 'GET', scope: 'service', keys: ['meridian-usage'] },
  action: 's3:GetUsage',
  decode,

  async run({ account, ...asked }, { caller, services }) {
    if (caller.kind === 'anonymous') throw new Fault('AccessDenied')
    const { id, isAdministrator } = caller.account
    const isForOthers = account !== undefined && account !== id
    if (isForOthers && !(isAdministrator && caller.principal === undefined)) throw new Fault('AccessDenied')
    const of = account === 'all' ? {} : { account: account ?? id }
    return { isCsv: asked.isCsv, rows: services.usage.rows({ ...asked, ...of }) }
  },

  encode: ({ isCsv, rows }) => ({
    status: 200,
    headers: { 'content-type': isCsv ? 'text/csv; charset=utf-8' : 'application/json' },
    body: isCsv ? csv(rows) : json(rows),
  }),
})
