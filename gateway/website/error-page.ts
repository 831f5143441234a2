import { STATUS_CODES } from 'node:http'
import { answerOf, type ErrorAnswer, type RequestIds } from '#gateway/errors.ts'
import { Fault, type FaultDetails } from '#src/errors.ts'

/** What the website endpoint answers a Fault with: a page for people, and headers for programs. */

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replace(/[&<>"']/g, (each) => escapes[each] ?? each)

const told = (details: FaultDetails): readonly (readonly [string, string | number])[] =>
  Object.entries(details).filter(([name]) => /^[A-Z]/.test(name))

/** Headers carry printable ASCII; what else a key holds is on the page alone. */
const isPrintable = (value: string): boolean => /^[\x20-\x7e]{1,1024}$/.test(value)

export function errorHeaders(code: string, message: string, details: FaultDetails = {}): Record<string, string> {
  const headers: Record<string, string> = { 'x-amz-error-code': code }
  if (isPrintable(message)) headers['x-amz-error-message'] = message
  for (const [name, value] of told(details)) {
    if (isPrintable(String(value))) headers[`x-amz-error-detail-${name}`] = String(value)
  }
  return headers
}

const messageOf = ({ code, details }: Fault): string => String(details['message'] ?? answerOf(code).message)

export const headersOf = (fault: Fault): Record<string, string> =>
  errorHeaders(fault.code, messageOf(fault), fault.details)

const item = (name: string, value: string | number): string => `<li>${name}: ${escaped(String(value))}</li>`

const items = (fault: Fault): readonly string[] => [
  item('Code', fault.code),
  item('Message', messageOf(fault)),
  ...told(fault.details).map(([name, value]) => item(name, value)),
]

/** Its cause is why the bucket's own page for errors could not be shown. */
export function errorPage(fault: Fault, { requestId, hostId }: RequestIds): ErrorAnswer {
  const { status } = answerOf(fault.code)
  const cause = fault.cause instanceof Fault ? fault.cause : undefined
  const title = `${status} ${STATUS_CODES[status] ?? ''}`
  const lines = [
    '<html>',
    `<head><title>${title}</title></head>`,
    '<body>',
    `<h1>${title}</h1>`,
    '<ul>',
    ...items(fault),
    item('RequestId', requestId),
    item('HostId', hostId),
    '</ul>',
    ...(cause === undefined
      ? []
      : [
          '<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>',
          '<ul>',
          ...items(cause),
          '</ul>',
        ]),
    '<hr/>',
    '</body>',
    '</html>',
    '',
  ]
  const { allow } = fault.details
  const headers = {
    ...headersOf(fault),
    ...(allow !== undefined && { allow: String(allow) }),
    'content-type': 'text/html; charset=utf-8',
  }
  return { status, headers, body: lines.join('\n') }
}
