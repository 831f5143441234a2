import type { Caller } from '#src/model/identity.ts'
import type { Deed } from '#src/telemetry/audit-log.ts'
import type { Outcome } from './pipeline.ts'

const reading: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Calls of the query APIs are all posted: their names tell. */
const asking = /^(Get|List|Simulate)/

/** What is known of a request before anybody looked at it. */
export interface Asked {
  readonly id: string
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly userAgent: string | undefined
  readonly remoteAddress: string | undefined
  readonly forwardedBy: string | undefined
}

/** Whether anybody who looks after what was done should hear of it: changes, tried ones too, and whatever was denied. */
function isWorthTelling(method: string, operation: string, caller: Caller | undefined, status: number): boolean {
  if (status === 401 || status === 403) return true
  return caller === undefined ? !reading.has(method) : !asking.test(operation)
}

/** What is told of a request that was answered; undefined: nothing. Neither headers nor the query are: secrets are there. */
export function deedOf(
  { id, method, path, userAgent, remoteAddress, forwardedBy }: Asked,
  { operation, notes }: Outcome,
  status: number,
  error: string | undefined,
): Deed | undefined {
  const { request, caller: ofQuery } = notes ?? {}
  // Told by the region that carried it out.
  if (operation === 'Forwarded') return undefined
  if (!isWorthTelling(method, operation, ofQuery, status)) return undefined
  const caller = ofQuery ?? request?.caller
  const known = caller?.kind === 'account' ? caller : undefined
  return {
    request: id,
    operation,
    status,
    error,
    path,
    bucket: request?.bucket === '' ? undefined : request?.bucket,
    key: request?.key === '' ? undefined : request?.key,
    versionId: request?.query.get('versionId'),
    account: known?.account.id,
    accessKey: known?.accessKeyId,
    principal: known?.principal?.arn,
    remoteAddress,
    userAgent,
    forwardedBy,
  }
}
