import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, findBrowser, openBrowser, type Page } from '#compat/browser.ts'

const patience = 60_000

interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
}

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[]
}

/** What the page must never see: breaches of its policy, errors that nobody caught, and what keys tried to run. */
const watching = `
  window.seen = { violations: [], errors: [], attacks: [] }
  window.attacked = (what) => window.seen.attacks.push(String(what))
  document.addEventListener('securitypolicyviolation', (event) => window.seen.violations.push(event.violatedDirective + ' ' + event.blockedURI))
  window.addEventListener('error', (event) => window.seen.errors.push(event.message))
  window.addEventListener('unhandledrejection', (event) => window.seen.errors.push(String(event.reason)))
`

const text = (value: unknown): string => JSON.stringify(value)

export const whyNoBrowser = async (): Promise<string | undefined> =>
  (await findBrowser()) === undefined ? 'NOT SHOWN: there is no Chromium here' : undefined

/** The console, as somebody at a browser has it. */
export class ConsolePage {
  readonly page: Page
  readonly #browser: Browser
  readonly #endpoint: string
  #axe = ''

  private constructor(browser: Browser, endpoint: string) {
    this.#browser = browser
    this.page = browser.page
    this.#endpoint = endpoint
  }

  static async open(endpoint: string): Promise<ConsolePage> {
    const program = await findBrowser()
    if (program === undefined) throw new Error('there is no browser')
    const opened = new ConsolePage(await openBrowser(program), endpoint)
    await opened.page.send('Page.addScriptToEvaluateOnNewDocument', { source: watching })
    await opened.resize(1180, 780)
    opened.#axe = await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
    return opened
  }

  close(): Promise<void> {
    return this.#browser.close()
  }

  async resize(width: number, height: number): Promise<void> {
    const metrics = { width, height, deviceScaleFactor: 1, mobile: false }
    await this.page.send('Emulation.setDeviceMetricsOverride', metrics)
  }

  async load(): Promise<void> {
    await this.page.visit(`${this.#endpoint}/-/console/`)
    await this.until('document.getElementById("main")?.dataset.ready')
  }

  /** Rejects with what the page shows where it does not come true in time. */
  async until(expression: string): Promise<void> {
    for (const end = Date.now() + patience; ; await new Promise((resolve) => setTimeout(resolve, 30))) {
      if (await this.page.evaluate<boolean>(`Boolean(${expression})`)) return
      if (Date.now() > end)
        throw new Error(`not in time: ${expression}\n${await this.page.evaluate('document.body.innerText')}`)
    }
  }

  /** As somebody types. */
  async fill(id: string, value: string): Promise<void> {
    await this.page.evaluate(
      `document.getElementById(${text(id)}).focus(), document.getElementById(${text(id)}).select?.()`,
    )
    await this.page.send('Input.insertText', { text: value })
  }

  /** A key that has a name. */
  async press(key: 'Tab' | 'Enter'): Promise<void> {
    const codes = { Tab: 9, Enter: 13 }
    const event = { key, code: key, windowsVirtualKeyCode: codes[key], ...(key === 'Enter' && { text: '\r' }) }
    await this.page.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event })
    await this.page.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event })
  }

  /** A button or a link, by what it is called. */
  async click(name: string, within = 'body'): Promise<void> {
    const find = `[...document.querySelectorAll(${text(`${within} button, ${within} a, ${within} summary`)})].find((each) => (each.getAttribute('aria-label') ?? each.textContent) === ${text(name)})`
    await this.until(find)
    await this.page.evaluate(`${find}.click()`)
  }

  async signIn({ accessKey, secretKey }: Credentials): Promise<void> {
    await this.load()
    await this.fill('access-key', accessKey)
    await this.fill('secret-key', secretKey)
    await this.click('Sign in', 'form')
  }

  /** Goes to a place of the page, and waits until it shows. */
  async go(hash: string): Promise<void> {
    await this.page.evaluate(
      `delete document.getElementById('main').dataset.ready, location.hash === ${text(hash)} ? window.dispatchEvent(new Event('hashchange')) : location.hash = ${text(hash)}`,
    )
    await this.until(`document.getElementById('main').dataset.ready === ${text(hash)}`)
  }

  text(selector = 'body'): Promise<string> {
    return this.page.evaluate(`document.querySelector(${text(selector)})?.innerText ?? ''`)
  }

  seen(): Promise<{ readonly violations: string[]; readonly errors: string[]; readonly attacks: string[] }> {
    return this.page.evaluate('window.seen')
  }

  async colours(scheme: 'light' | 'dark'): Promise<void> {
    const features = [
      { name: 'prefers-color-scheme', value: scheme },
      // What is on its way from one colour to another has no contrast to speak of.
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ]
    await this.page.send('Emulation.setEmulatedMedia', { features })
  }

  /** What axe finds wrong with what is shown, in words. */
  async inaccessible(): Promise<readonly string[]> {
    // In a world of its own: the page's policy is for the page, and axe is none of it.
    const { frameTree } = (await this.page.send('Page.getFrameTree')) as {
      readonly frameTree: { readonly frame: { readonly id: string } }
    }
    const { executionContextId } = await this.page.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id })
    const run = `${this.#axe};axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ target, failureSummary }) => ({ target, failureSummary })) })))`
    const { result, exceptionDetails } = await this.page.send('Runtime.evaluate', {
      expression: run,
      contextId: executionContextId,
      awaitPromise: true,
      returnByValue: true,
    })
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails).slice(0, 2_000))
    const { value } = result as { readonly value: readonly Violation[] }
    return value.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary}`),
    )
  }

  async screenshot(file: string): Promise<void> {
    const { data } = (await this.page.send('Page.captureScreenshot', { format: 'png', optimizeForSpeed: false })) as {
      readonly data: string
    }
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, Buffer.from(data, 'base64'))
  }
}
