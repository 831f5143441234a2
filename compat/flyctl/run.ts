import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { attempt, exit, type Ran, run, start } from '#compat/commands.ts'
import { Journal } from '#compat/journal.ts'
import { person } from '#compat/people.ts'
import { type Server, startServer } from '#compat/server.ts'
import { pythonTool } from '#compat/tools.ts'
import { knownQuestions, runningQuestions } from '../../test/fly/questions.ts'
import { approve, type Visitor, visit } from './browser.ts'
import { type Recorder, startRecorder } from './recorder.ts'

/**
 * The real flyctl, unmodified, against a server that plays Fly: https://github.com/superfly/flyctl
 *
 * Z2  flyctl asks nothing that the project's own test of its questions does not ask.
 */

const launcher = join(import.meta.dirname, '..', '..', 'bin', 'launch.mjs')
const terminal = join(import.meta.dirname, 'terminal.py')
const bucketProgram = join(import.meta.dirname, 'bucket.py')
const patienceSeconds = 60

/** The binary: named by the environment, or on the path. */
async function findFlyctl(): Promise<string | undefined> {
  for (const candidate of [process.env['MERIDIAN_FLYCTL'] ?? '', 'flyctl', 'fly']) {
    const ran = candidate === '' ? undefined : await attempt(candidate, ['version']).catch(() => undefined)
    if (ran?.code === 0) return candidate
  }
  return undefined
}

interface Work {
  readonly journal: Journal
  readonly flyctl: string
  readonly server: Server
  readonly recorder: Recorder
  readonly visitor: Visitor
  readonly home: string
  readonly environment: NodeJS.ProcessEnv
  readonly token: string
}

const plain = stripVTControlCharacters

/** Runs flyctl without a terminal. */
async function fly(work: Work, args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const environment = { ...work.environment, FLY_API_TOKEN: work.token, ...more }
  const ran = await attempt('timeout', [String(patienceSeconds), work.flyctl, ...args], { cwd: work.home, environment })
  return { ...ran, stdout: plain(ran.stdout), stderr: plain(ran.stderr) }
}

async function good(work: Work, args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<string> {
  const { code, stdout, stderr } = await fly(work, args, more)
  assert.equal(code, 0, `fly ${args.join(' ')}\n${stdout}\n${stderr}`)
  return stdout
}

async function bad(work: Work, args: readonly string[], why: RegExp): Promise<void> {
  const { code, stdout, stderr } = await fly(work, args)
  assert.notEqual(code, 0, `fly ${args.join(' ')} was not refused\n${stdout}`)
  assert.match(stdout + stderr, why)
}

/** Runs flyctl on a terminal, and answers what it asks; `shown` is told all that it shows, as it comes. */
async function onTerminal(
  work: Work,
  args: readonly string[],
  dialogue: readonly (readonly [asked: string, typed: string])[],
  { more = {}, shown }: { more?: NodeJS.ProcessEnv; shown?: (text: string) => void } = {},
): Promise<string> {
  const words = [terminal, String(patienceSeconds), JSON.stringify(dialogue), work.flyctl, ...args]
  const child = start('python3', words, {
    cwd: work.home,
    env: { ...work.environment, FLY_API_TOKEN: work.token, ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout?.on('data', (piece: Buffer) => {
    text += piece.toString()
    shown?.(plain(text))
  })
  const code = await exit(child)
  assert.equal(code, 0, `fly ${args.join(' ')} on a terminal\n${plain(text)}`)
  return plain(text)
}

const meridian = (work: Pick<Work, 'server'>, ...args: string[]): Promise<string> =>
  run(process.execPath, [launcher, ...args, '--data', work.server.data])

const variables = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/^\s*(AWS_[A-Z0-9_]+|BUCKET_NAME): (\S+)\s*$/gm)].map(([, name, value]) => [name, value]),
  )

/** boto3, in a program that knows nothing but its environment. */
async function useBucket(environment: Record<string, string>): Promise<string> {
  const python = await pythonTool('boto3', 'python')
  return (
    await run(python, ['-W', 'ignore', bucketProgram], { environment: { PATH: process.env['PATH'], ...environment } })
  ).trim()
}

async function withoutTerminal(work: Work): Promise<void> {
  const { journal, server, visitor } = work
  await journal.step('signed in by a token: whoami, orgs list', async () => {
    assert.match(await good(work, ['auth', 'whoami']), new RegExp(visitor.email))
    assert.match(await good(work, ['orgs', 'list']), /acme/)
    return ''
  })
  let given: Record<string, string> = {}
  await journal.step('storage create, list, status', async () => {
    given = variables(await good(work, ['storage', 'create', '-o', 'acme', '-n', 'compat-first', '--yes']))
    assert.equal(Object.keys(given).length, 5)
    assert.match(await good(work, ['storage', 'list']), /compat-first .* acme/)
    assert.match(await good(work, ['storage', 'list', '-o', 'acme']), /compat-first/)
    assert.match(await good(work, ['storage', 'status', 'compat-first']), /Status .* ready.*Public .* False/s)
    return Object.keys(given).join(' ')
  })
  await journal.step('boto3 uses what was given', () => useBucket(given))
  await journal.step('a name that is taken, one that is none, a bucket that is not empty', async () => {
    await bad(
      work,
      ['storage', 'create', '-o', 'acme', '-n', 'compat-first', '--public', '--yes'],
      /unavailable for creation/,
    )
    await bad(work, ['storage', 'create', '-o', 'acme', '-n', 'No_Name', '--yes'], /no name of a bucket/)
    await bad(work, ['storage', 'create', '-o', 'others', '--yes'], /no such organization/i)
    await bad(work, ['storage', 'status', 'compat-none'], /[Cc]ould not find/)
    await bad(work, ['storage', 'destroy', 'compat-first', '--yes'], /not empty/)
    return ''
  })
  await journal.step('storage update: public and back, domain, shadow bucket', async () => {
    const seen = async () => (await fetch(`${server.site.endpoint}/compat-first/greeting`)).status
    assert.equal(await seen(), 403)
    await good(work, ['storage', 'update', 'compat-first', '--public', '--accelerate'])
    assert.equal(await seen(), 200)
    await good(work, ['storage', 'update', 'compat-first', '--private', '--custom-domain', 'www.example.com', '--yes'])
    assert.equal(await seen(), 403)
    assert.match(await meridian(work, 'storage', 'status', '--name', 'compat-first'), /^domain\twww.example.com$/m)
    const shadow = ['--shadow-access-key', 'AK', '--shadow-secret-key', 'CANARY', '--shadow-region', 'auto']
    const where = ['--shadow-name', 'old', '--shadow-endpoint', 'https://s3.example.com', '--shadow-write-through']
    await good(work, ['storage', 'update', 'compat-first', ...shadow, ...where])
    const status = await good(work, ['storage', 'status', 'compat-first'])
    assert.match(status, /Write Through .* True/)
    assert.doesNotMatch(status, /CANARY/)
    await good(work, ['storage', 'update', 'compat-first', '--clear-shadow', '--clear-custom-domain'])
    assert.doesNotMatch(await good(work, ['storage', 'status', 'compat-first']), /Write Through .* True/)
    return ''
  })
  await journal.step('storage dashboard opens pages that sign a person in', async () => {
    const [, link = ''] = /Opening (\S+) \.\.\./.exec(await good(work, ['storage', 'dashboard', 'compat-first'])) ?? []
    const page = await visit(visitor, link)
    assert.match(page.text, /<h1>compat-first<\/h1>/)
    // Without a program to open it, flyctl says so and fails, having shown the link.
    const { stdout } = await fly(work, ['storage', 'dashboard', '-o', 'acme'])
    const [, all = ''] = /Opening (\S+) \.\.\./.exec(stdout) ?? []
    assert.match((await visit(visitor, all)).text, /compat-first/)
    return new URL(page.url).pathname
  })
  await journal.step('a resend after 502 makes no second bucket', async () => {
    work.recorder.failAfter('CreateExtension', 2)
    const again = variables(await good(work, ['storage', 'create', '-o', 'acme', '--yes']))
    const listed = await good(work, ['storage', 'list', '-o', 'acme'])
    assert.equal([...listed.matchAll(/^ [a-z0-9.-]+ +│ acme/gm)].length, 2, listed)
    await good(work, ['storage', 'destroy', again['BUCKET_NAME'] ?? '', '--yes'])
    return again['BUCKET_NAME'] ?? ''
  })
}

async function withApp(work: Work): Promise<void> {
  const { journal } = work
  await journal.step('an app: its secrets are staged, and delivered to a file; boto3 reads it', async () => {
    await good(work, ['apps', 'create', 'compat-app', '-o', 'acme'])
    const made = await good(work, ['storage', 'create', '-a', 'compat-app', '-n', 'compat-app-bucket', '--yes'])
    assert.match(made, /staged for the first deployment/)
    await bad(work, ['storage', 'create', '-a', 'compat-app', '--yes'], /already exists for app/)
    assert.match(await good(work, ['storage', 'status', '-a', 'compat-app']), /compat-app-bucket/)
    const file = join(work.home, 'app.env')
    await meridian(work, 'apps', 'deliver', '--name', 'compat-app', '--to', 'env-file', '--file', file)
    const lines = (await readFile(file, 'utf8')).trim().split('\n')
    const environment = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)))
    return await useBucket(environment)
  })
  await journal.step(
    'an app that runs already: its secrets are deployed to where it runs; boto3 reads them there',
    async () => {
      await good(work, ['apps', 'create', 'compat-running', '-o', 'acme'])
      const file = join(work.home, 'running.env')
      await meridian(work, 'apps', 'machines', 'add', '--name', 'compat-running', '--to', 'env-file', '--file', file)
      assert.equal(await readFile(file, 'utf8'), '')
      const made = await good(work, [
        'storage',
        'create',
        '-a',
        'compat-running',
        '-n',
        'compat-running-bucket',
        '--yes',
      ])
      assert.doesNotMatch(made, /staged/)
      const lines = (await readFile(file, 'utf8')).trim().split('\n')
      const environment = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)))
      return await useBucket(environment)
    },
  )
}

async function signIns(work: Work): Promise<void> {
  const { journal, visitor } = work
  const fresh = (name: string) => ({ FLY_API_TOKEN: undefined, FLY_CONFIG_DIR: join(work.home, name) })
  await journal.step('auth login by address and password', async () => {
    const login = ['auth', 'login', '--email', visitor.email, '--otp', '']
    await bad({ ...work, token: '' }, [...login, '--password', 'a wrong password'], /incorrect email and password/)
    await good(work, [...login, '--password', visitor.password], fresh('by-password'))
    assert.match(await good(work, ['auth', 'whoami'], fresh('by-password')), new RegExp(visitor.email))
    await good(work, ['auth', 'logout'], fresh('by-password'))
    return ''
  })
  for (const [title, runsScript] of [
    ['the page tells it', true],
    ['the code is typed', false],
  ] as const) {
    await journal.step(`auth login by a browser, with PKCE: ${title}`, async () => {
      const directory = fresh(runsScript ? 'by-page' : 'by-code')
      const file = join(work.home, 'code')
      let approving: Promise<void> | undefined
      const shown = (text: string): void => {
        const [, url] = /(http:\/\/\S+\/app\/auth\/cli\/[0-9a-f]+)/.exec(text) ?? []
        if (url === undefined || approving !== undefined) return
        approving = approve(visitor, url, runsScript).then((code) => writeFile(file, code))
      }
      if (runsScript) {
        const text = await onTerminal(work, ['auth', 'login'], [], { more: directory, shown })
        await approving
        assert.match(text, /successfully logged in/i)
      } else {
        // What is typed is known only once the page has shown it: a second program types it.
        await typedLogin(work, directory, shown, async () => {
          while (approving === undefined) await new Promise((resolve) => setTimeout(resolve, 50))
          await approving
          return await readFile(file, 'utf8')
        })
      }
      return (await good(work, ['auth', 'whoami'], directory)).trim()
    })
  }
}

/** flyctl reads the code from its standard input, which has to be a terminal: the terminal's program passes ours on. */
async function typedLogin(
  work: Work,
  more: NodeJS.ProcessEnv,
  shown: (text: string) => void,
  code: () => Promise<string>,
): Promise<void> {
  const child = start('python3', [terminal, String(patienceSeconds), '"stdin"', work.flyctl, 'auth', 'login'], {
    cwd: work.home,
    env: { ...work.environment, ...more },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout?.on('data', (piece: Buffer) => {
    text += piece.toString()
    shown(plain(text))
  })
  const typed = code().then((word) => child.stdin?.end(`wrong-code\r${word}\r`))
  const ended = await exit(child)
  await typed
  assert.equal(ended, 0, plain(text))
}

async function onTerminals(work: Work): Promise<void> {
  const { journal } = work
  await journal.step('on a terminal: create asks for the organization and the name, destroy asks whether', async () => {
    const asked = [
      ['Select Organization', '\r'],
      ['Choose a name', 'compat-typed\r'],
    ] as const
    assert.match(await onTerminal(work, ['storage', 'create'], asked), /compat-typed.*AWS_ACCESS_KEY_ID/s)
    await onTerminal(work, ['storage', 'status', 'compat-typed'], [])
    await onTerminal(work, ['storage', 'list'], [])
    await onTerminal(
      work,
      ['storage', 'update', 'compat-typed', '--custom-domain', 'typed.example.com'],
      [['Continue', 'y\r']],
    )
    await onTerminal(work, ['storage', 'destroy', 'compat-typed'], [['Do you want to destroy', 'y\r']])
    assert.doesNotMatch(await good(work, ['storage', 'list']), /compat-typed/)
    return ''
  })
}

/** Tells whether all went well. */
export async function runFlyctl(allowMissing: boolean): Promise<boolean> {
  const journal = new Journal('flyctl')
  const flyctl = await findFlyctl()
  if (flyctl === undefined) {
    journal.say('NOT RUN: no flyctl on the path, and none in MERIDIAN_FLYCTL')
    return allowMissing
  }
  const home = await mkdtemp(join(tmpdir(), 'meridian-flyctl-'))
  const server = await startServer({ owner: person('main'), workers: 2, environment: { MERIDIAN_FLY_PORT: '0' } })
  try {
    const { flyOrigin } = server
    assert.ok(flyOrigin !== undefined, 'the server says where flyctl is answered')
    const visitor = { email: 'ann@compat.example', password: 'a password for flyctl' }
    await writeFile(join(home, 'password'), visitor.password)
    await meridian({ server }, 'people', 'create', '--email', visitor.email, '--password-file', join(home, 'password'))
    await meridian({ server }, 'organizations', 'create', '--name', 'Acme', '--slug', 'acme', '--owner', visitor.email)
    await meridian({ server }, 'organizations', 'create', '--name', 'Others', '--slug', 'others')
    const made = await meridian({ server }, 'tokens', 'create', '--email', visitor.email, '--name', 'compat', '--json')
    const { token } = JSON.parse(made) as { token: string }
    await using recorder = await startRecorder(flyOrigin)
    const base = recorder.origin
    const work: Work = {
      journal,
      flyctl,
      server,
      recorder,
      visitor,
      home,
      token,
      environment: {
        PATH: process.env['PATH'],
        HOME: home,
        FLY_CONFIG_DIR: join(home, 'config'),
        FLY_API_BASE_URL: base,
        FLY_FLAPS_BASE_URL: base,
        FLY_UIEX_BASE_URL: base,
        FLY_SEND_METRICS: '0',
        FLY_NO_UPDATE_CHECK: '1',
        FLY_NO_INCIDENTS_CHECK: '1',
        NO_COLOR: '1',
      },
    }
    journal.say(plain((await attempt(flyctl, ['version'])).stdout.trim()))
    await withoutTerminal(work)
    await withApp(work)
    await onTerminals(work)
    await signIns(work)
    await journal.step('Z2: it asked nothing that is not known', async () => {
      const unknown = [...recorder.asked].filter((each) => ![...knownQuestions, ...runningQuestions].includes(each))
      assert.deepEqual(unknown, [])
      return `${recorder.asked.size} kinds of questions`
    })
    return true
  } catch (error) {
    journal.say(error instanceof Error ? (error.stack ?? error.message) : String(error))
    return false
  } finally {
    await server.stop()
    await rm(home, { recursive: true, force: true })
  }
}
