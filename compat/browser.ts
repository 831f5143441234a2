import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { exit, start } from './commands.ts'
import { systemTool } from './tools.ts'

/**
 * A real browser, without a window, driven by its own protocol: https://chromedevtools.github.io/devtools-protocol/
 *
 * Z2  what the browser did is asked of the browser: a page's address, what it shows, what its scripts got.
 */

/** As Debian, others and Google call it. */
const programs = ['chromium', 'chromium-headless-shell', 'chromium-browser', 'google-chrome'] as const

export async function findBrowser(): Promise<string | undefined> {
  for (const program of programs) {
    if ((await systemTool(program)) !== undefined) return program
  }
  return undefined
}

const patience = 30_000

interface Answer {
  readonly id?: number
  readonly method?: string
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly message: string }
}

type Parameters = Readonly<Record<string, unknown>>

function within<T>(promise: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the browser did not ${what} in time`)), patience)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** One tab of the browser. */
export class Page {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #listeners = new Map<string, () => void>()
  #last = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as Answer
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer)
      else if (answer.method !== undefined) this.#listeners.get(answer.method)?.()
    })
  }

  static async open(address: string): Promise<Page> {
    const socket = new WebSocket(address)
    await within(
      new Promise((resolve, reject) => {
        socket.addEventListener('open', resolve)
        socket.addEventListener('error', () => reject(new Error('the browser does not listen')))
      }),
      'listen',
    )
    const page = new Page(socket)
    await page.send('Page.enable')
    return page
  }

  close(): void {
    this.#socket.close()
  }

  async send(method: string, params: Parameters = {}): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#last
    const answered = new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve)
    })
    this.#socket.send(JSON.stringify({ id, method, params }))
    const { result, error } = await within(answered, method)
    this.#waiting.delete(id)
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result ?? {}
  }

  /** Does what makes the browser load another page, and waits for that. */
  async loading(what: () => Promise<unknown>): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#listeners.set('Page.loadEventFired', resolve)
    })
    await what()
    await within(loaded, 'load a page')
  }

  async visit(url: string): Promise<void> {
    await this.loading(() => this.send('Page.navigate', { url }))
  }

  /** The value of an expression in the page, awaited; throws what it throws. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const params = { expression, awaitPromise: true, returnByValue: true, userGesture: true }
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', params)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { readonly value: Value }).value
  }

  /** As a person who chooses a file in the dialogue. */
  async chooseFile(selector: string, file: string): Promise<void> {
    const { root } = (await this.send('DOM.getDocument')) as { readonly root: { readonly nodeId: number } }
    const { nodeId } = await this.send('DOM.querySelector', { nodeId: root.nodeId, selector })
    await this.send('DOM.setFileInputFiles', { nodeId, files: [file] })
  }

  address(): Promise<string> {
    return this.evaluate('location.href')
  }

  text(): Promise<string> {
    return this.evaluate('document.documentElement.textContent')
  }
}

export interface Browser {
  readonly page: Page
  close(): Promise<void>
}

const listening = /^DevTools listening on ws:\/\/([^/]+)\//

/** The browser with an empty profile, and its one page. */
export async function openBrowser(command: string): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'meridian-browser-'))
  // Its own sandbox needs rights that containers do not give; it visits nothing but this machine.
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run']
  const child = start(command, [...flags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const { stderr } = child
  if (stderr === null) throw new Error('the browser has no standard error')
  const close = async (): Promise<void> => {
    // The command may be a script, as Debian's: a signal to it alone would not reach the browser.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM')
    await exit(child)
    stderr.destroy()
    await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
  try {
    const host = await within(
      new Promise<string>((resolve, reject) => {
        createInterface({ input: stderr }).on('line', (line) => {
          const [, found] = listening.exec(line) ?? []
          if (found !== undefined) resolve(found)
        })
        child.once('exit', (code) => reject(new Error(`the browser ended with ${code}`)))
        child.once('error', reject)
      }),
      'start',
    )
    const targets = (await (await fetch(`http://${host}/json/list`)).json()) as readonly {
      readonly type: string
      readonly webSocketDebuggerUrl: string
    }[]
    const target = targets.find(({ type }) => type === 'page')
    if (target === undefined) throw new Error('the browser has no page')
    const page = await Page.open(target.webSocketDebuggerUrl)
    return {
      page,
      close: async () => {
        page.close()
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}
