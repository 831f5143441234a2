import type { FlyAnswer } from './exchange.ts'

/** The few pages that signing in needs: no script but where a nonce names it, nothing from elsewhere, in no frame. */
export interface Page {
  readonly title: string
  /** HTML, built with `html`. */
  readonly body: Html
  /** Its script, and where that may ask. */
  readonly script?: { readonly nonce: string; readonly text: string; readonly connects: string }
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** Text that is HTML already. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replace(/[&<>"']/g, (each) => entities[each] ?? '')

/** Everything that is put in is escaped, but what is HTML already. */
export const html = (parts: TemplateStringsArray, ...values: readonly (string | Html)[]): Html =>
  new Html(
    parts.reduce((all, part, at) => {
      const value = values[at - 1] ?? ''
      return `${all}${value instanceof Html ? value.text : escaped(value)}${part}`
    }),
  )

export const joined = (parts: readonly Html[]): Html => new Html(parts.map(({ text }) => text).join(''))

const style =
  ':root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem}' +
  'label{display:block;margin:.8rem 0 .2rem}input{font:inherit;width:100%;padding:.4rem;box-sizing:border-box}' +
  'button{font:inherit;margin-top:1rem;padding:.4rem 1.2rem}code{font-size:1.05rem;overflow-wrap:anywhere}'

export function pageAnswer({ title, body, script, status = 200, headers = {} }: Page): FlyAnswer {
  const policy = [
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    ...(script === undefined ? [] : [`script-src 'nonce-${script.nonce}'`, `connect-src ${script.connects}`]),
  ].join('; ')
  const tail = script === undefined ? '' : `<script nonce="${script.nonce}">${script.text}</script>`
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy, ...headers },
    body:
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
      `<title>${escaped(title)} – Meridian</title><style>${style}</style></head>` +
      `<body><main><h1>${escaped(title)}</h1>${body.text}</main>${tail}</body></html>`,
  }
}
