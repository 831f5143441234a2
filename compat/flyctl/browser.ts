/** What a person does with a browser, by hand: sign in, let the program in, and what the page then does by its script. */
export interface Visitor {
  readonly email: string
  readonly password: string
}

interface Visit {
  readonly url: string
  readonly text: string
}

const stepsMost = 12

/** Goes where it is sent, with its cookies; signs in where it is asked to. */
class Browser {
  readonly #visitor: Visitor
  readonly #cookies = new Map<string, string>()

  constructor(visitor: Visitor) {
    this.#visitor = visitor
  }

  async go(url: string, form?: Record<string, string>): Promise<Visit> {
    let at = url
    let body = form
    for (let step = 0; step < stepsMost; step++) {
      const response = await fetch(at, {
        redirect: 'manual',
        headers: {
          accept: 'text/html',
          cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; '),
          ...(body !== undefined && { origin: new URL(at).origin }),
        },
        ...(body !== undefined && { method: 'POST', body: new URLSearchParams(body) }),
      })
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        this.#cookies.set(name, value)
      }
      const text = await response.text()
      const to = response.headers.get('location')
      if (to !== null) {
        at = new URL(to, at).href
        body = undefined
        continue
      }
      if (response.status !== 200) throw new Error(`the page ${at} said ${response.status}: ${text.slice(0, 2_000)}`)
      const path = new URL(at).pathname
      if (path !== '/login') return { url: at, text }
      const [, back = '/'] = /name="to" value="([^"]*)"/.exec(text) ?? []
      body = { to: back.replaceAll('&amp;', '&'), email: this.#visitor.email, password: this.#visitor.password }
    }
    throw new Error(`${url} leads from page to page`)
  }
}

/** Opens a link as a person who has to sign in on the way; gives the page that it leads to. */
export const visit = (visitor: Visitor, url: string): Promise<Visit> => new Browser(visitor).go(url)

/** Lets a program in, and gives the code that the page shows; its script tells it to the program that listens. */
export async function approve(visitor: Visitor, url: string, runsScript: boolean): Promise<string> {
  const browser = new Browser(visitor)
  await browser.go(url)
  const { text } = await browser.go(url, { answer: 'yes' })
  const [, code = ''] = /<code id="code">([^<]+)</.exec(text) ?? []
  const [, callback] = /fetch\("([^"]+)"\)/.exec(text) ?? []
  if (runsScript && callback !== undefined) {
    const answer = await fetch(callback)
    await answer.text()
    if (answer.status !== 200) throw new Error(`flyctl answered its callback with ${answer.status}`)
  }
  return code
}
