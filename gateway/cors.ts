import { Fault } from '#src/errors.ts'
import type { CorsRule } from '#src/model/bucket.ts'

/** What a browser asks. https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html */
export interface CorsQuestion {
  readonly origin: string
  /** Of the request itself, or the one that a preflight asks for. */
  readonly method: string
  /** Header names that a preflight asks for, in lower case. */
  readonly headers: readonly string[]
}

/** At most one `*`, which stands for any text; S3 refuses rules with more. */
function matches(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return pattern === text
  const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)]
  return text.length >= before.length + after.length && text.startsWith(before) && text.endsWith(after)
}

const allows = (rule: CorsRule, { origin, method, headers }: CorsQuestion): boolean =>
  rule.allowedMethods.includes(method) &&
  rule.allowedOrigins.some((each) => matches(each, origin)) &&
  headers.every((name) => rule.allowedHeaders.some((each) => matches(each.toLowerCase(), name)))

/** The first rule that allows what is asked, in the order in which they were put. */
export const findRule = (rules: readonly CorsRule[], question: CorsQuestion): CorsRule | undefined =>
  rules.find((rule) => allows(rule, question))

/** What a browser is told of a rule that allows its request. */
export function corsHeaders(rule: CorsRule, question: CorsQuestion): Record<string, string> {
  // A rule for anybody says so, and then no credentials may be sent; S3 answers the same.
  const isForAll = rule.allowedOrigins.includes('*')
  const headers: Record<string, string> = {
    'access-control-allow-origin': isForAll ? '*' : question.origin,
    'access-control-allow-methods': rule.allowedMethods.join(', '),
    vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
  }
  if (question.headers.length > 0) headers['access-control-allow-headers'] = question.headers.join(', ')
  if (rule.exposeHeaders.length > 0) headers['access-control-expose-headers'] = rule.exposeHeaders.join(', ')
  if (rule.maxAgeSeconds !== undefined) headers['access-control-max-age'] = String(rule.maxAgeSeconds)
  if (!isForAll) headers['access-control-allow-credentials'] = 'true'
  return headers
}

type Headers = Readonly<Record<string, string | undefined>>

/** The question of a preflight; Fault where a browser would have said more. */
export function preflightQuestion(headers: Headers): CorsQuestion {
  const origin = headers['origin']
  const method = headers['access-control-request-method']
  if (origin === undefined) {
    throw new Fault('BadRequest', { message: 'Insufficient information. Origin request header needed.' })
  }
  if (method === undefined || !/^(GET|PUT|POST|DELETE|HEAD)$/.test(method)) {
    throw new Fault('BadRequest', { message: 'Invalid Access-Control-Request-Method: null' })
  }
  const asked = headers['access-control-request-headers'] ?? ''
  const names = asked.split(',').map((each) => each.trim().toLowerCase())
  return { origin, method, headers: names.filter((each) => each !== '') }
}

export function preflightHeaders(
  rules: readonly CorsRule[] | undefined,
  question: CorsQuestion,
): Record<string, string> {
  if (rules === undefined) {
    throw new Fault('AccessForbidden', { message: 'CORSResponse: CORS is not enabled for this bucket.' })
  }
  const rule = findRule(rules, question)
  if (rule === undefined) {
    throw new Fault('AccessForbidden', {
      message:
        'CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the CORS spec.',
      Method: question.method,
      ResourceType: 'OBJECT',
    })
  }
  return corsHeaders(rule, question)
}

/** For the answer of a request that is no preflight; none where no rule allows it. */
export function responseCorsHeaders(
  rules: readonly CorsRule[] | undefined,
  question: CorsQuestion,
): Record<string, string> {
  const rule = rules === undefined ? undefined : findRule(rules, question)
  return rule === undefined ? {} : corsHeaders(rule, question)
}
