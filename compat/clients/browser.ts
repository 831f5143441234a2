import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  CreateBucketCommand,
  DeleteBucketCorsCommand,
  GetObjectCommand,
  PutBucketCorsCommand,
  PutBucketPolicyCommand,
  PutBucketWebsiteCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { createPresignedPost, type PresignedPostOptions } from '@aws-sdk/s3-presigned-post'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { type Browser, findBrowser, openBrowser, type Page } from '#compat/browser.ts'
import { run } from '#compat/commands.ts'
import { type Client, check, type Day, inside, same } from '#compat/day.ts'
import { size } from '#compat/files.ts'
import { destroyBucket, openSdk } from '#compat/sdk.ts'

/** Chromium: forms, requests of scripts to another origin, and websites, as pages see them. */
export const browser: Client = {
  name: 'browser',
  async find() {
    const command = await findBrowser()
    if (command === undefined) return undefined
    return {
      version: async () => (await run(command, ['--version'])).trim(),
      async work(day) {
        const opened = await openBrowser(command)
        try {
          await new BrowserDay(day, opened).work()
        } finally {
          await opened.close()
        }
      },
    }
  },
}

const bucket = 'browser-day'
const site = 'browser-day-site'
const fileBytes = 8 * 2 ** 20
const awkwardName = 'a photo & more ü.bin'

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')

/** What an application shows to its users: the form that it has signed. */
function formPage(url: string, fields: Readonly<Record<string, string>>): string {
  const hidden = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(value)}">`,
  )
  return `<!doctype html><meta charset="utf-8"><form action="${escaped(url)}" method="post" enctype="multipart/form-data">
${hidden.join('\n')}<input type="file" name="file"><input type="submit" id="send"></form>`
}

class BrowserDay {
  readonly #day: Day
  readonly #s3: S3Client
  readonly #page: Page
  readonly #pages = new Map<string, string>()
  readonly #application: Server
  #origin = ''

  constructor(day: Day, { page }: Browser) {
    this.#day = day
    this.#s3 = openSdk(day.site)
    this.#page = page
    this.#application = createServer((request, response) => {
      const path = (request.url ?? '').split('?', 1)[0] ?? ''
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(this.#pages.get(path) ?? path)
    })
  }

  async work(): Promise<void> {
    await new Promise<void>((resolve) => this.#application.listen(0, '127.0.0.1', resolve))
    this.#origin = `http://127.0.0.1:${(this.#application.address() as AddressInfo).port}`
    try {
      await this.#s3.send(new CreateBucketCommand({ Bucket: bucket }))
      await this.#forms()
      await this.#refusedForms()
      await this.#scripts()
      await this.#website()
      await this.#cleanUp()
    } finally {
      this.#s3.destroy()
      this.#application.closeAllConnections()
      this.#application.close()
    }
  }

  /** Shows a form, chooses a file in it and sends it. */
  async #submit(options: Omit<PresignedPostOptions, 'Bucket'>, file: string, change?: Record<string, string>) {
    const { url, fields } = await createPresignedPost(this.#s3, { Bucket: bucket, ...options })
    this.#pages.set('/form', formPage(url, { ...fields, ...change }))
    await this.#page.visit(`${this.#origin}/form`)
    await this.#page.chooseFile('input[type=file]', file)
    await this.#page.loading(() => this.#page.evaluate('document.getElementById("send").click()'))
  }

  async #read(Key: string): Promise<Buffer> {
    const { Body } = await this.#s3.send(new GetObjectCommand({ Bucket: bucket, Key }))
    return Buffer.from((await Body?.transformToByteArray()) ?? [])
  }

  async #forms(): Promise<void> {
    const { journal } = this.#day
    const file = inside(this.#day, awkwardName)
    const bytes = Buffer.alloc(fileBytes)
    for (let at = 0; at < fileBytes; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at)
    await writeFile(file, bytes)
    await journal.step('send a form that leads back', async () => {
      const done = `${this.#origin}/done?mine=1`
      // biome-ignore lint/suspicious/noTemplateCurlyInString: S3's own mark
      const Key = 'uploads/${filename}'
      const Fields = { success_action_redirect: done, 'Content-Type': 'application/x-photo', 'x-amz-meta-by': 'form' }
      const Conditions: PresignedPostOptions['Conditions'] = [
        ['starts-with', '$key', 'uploads/'],
        ['content-length-range', 1, 2 * fileBytes],
        { success_action_redirect: done },
        { 'Content-Type': 'application/x-photo' },
        { 'x-amz-meta-by': 'form' },
      ]
      await this.#submit({ Key, Fields, Conditions, Expires: 600 }, file)
      const address = new URL(await this.#page.address())
      same(address.origin + address.pathname, `${this.#origin}/done`, 'where the browser was led')
      const told = Object.fromEntries(address.searchParams)
      const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
      same(told, { mine: '1', bucket, key: `uploads/${awkwardName}`, etag }, 'what it was told there')
      const found = await this.#s3.send(new GetObjectCommand({ Bucket: bucket, Key: `uploads/${awkwardName}` }))
      same([found.ContentType, found.Metadata?.['by']], ['application/x-photo', 'form'], 'type and metadata')
      const kept = Buffer.from((await found.Body?.transformToByteArray()) ?? [])
      check(kept.equals(bytes), 'the object has other bytes than the file')
      return `${size(bytes.length)} as ${awkwardName}, compared`
    })
    await journal.step('send a form that shows its answer', async () => {
      const Fields = { success_action_status: '201' }
      await this.#submit({ Key: 'plain', Fields, Conditions: [{ success_action_status: '201' }] }, file)
      const text = await this.#page.text()
      check(text.includes('plain') && text.includes(bucket), `the browser shows ${text.slice(0, 300)}`)
      check((await this.#read('plain')).equals(bytes), 'the object has other bytes than the file')
      return 'PostResponse shown'
    })
  }

  async #refusedForms(): Promise<void> {
    const file = inside(this.#day, 'small')
    await writeFile(file, 'small')
    await this.#day.journal.step('be refused: too small, touched, expired', async () => {
      const Key = 'refused'
      const shown: string[] = []
      for (const [options, change] of [
        [{ Key, Conditions: [['content-length-range', 100, 200]] }, {}],
        [{ Key }, { key: 'other' }],
        [{ Key, Expires: -60 }, {}],
      ] as [Omit<PresignedPostOptions, 'Bucket'>, Record<string, string>][]) {
        await this.#submit(options, file, change)
        shown.push(/EntityTooSmall|AccessDenied/.exec(await this.#page.text())?.[0] ?? (await this.#page.text()))
      }
      same(shown, ['EntityTooSmall', 'AccessDenied', 'AccessDenied'], 'what the browser shows')
      const missing = await this.#read(Key).catch((error: Error) => error.name)
      same(missing, 'NoSuchKey', 'what is under the refused key')
      return shown.join(', ')
    })
  }

  async #scripts(): Promise<void> {
    await this.#day.journal.step('let scripts of another origin in, and not', async () => {
      const put = await getSignedUrl(this.#s3, new PutObjectCommand({ Bucket: bucket, Key: 'script' }))
      const get = await getSignedUrl(this.#s3, new GetObjectCommand({ Bucket: bucket, Key: 'script' }))
      const script = `(async () => {
        const put = await fetch(${JSON.stringify(put)}, { method: 'PUT', body: 'from a script' })
        const got = await fetch(${JSON.stringify(get)})
        return [put.status, put.headers.get('etag'), await got.text()]
      })().catch((error) => error.name)`
      await this.#page.visit(`${this.#origin}/script`)
      same(await this.#page.evaluate<unknown>(script), 'TypeError', 'what a script gets without CORS rules')
      const CORSRules = [
        {
          AllowedOrigins: [this.#origin],
          AllowedMethods: ['GET', 'PUT'],
          AllowedHeaders: ['*'],
          ExposeHeaders: ['etag'],
        },
      ]
      await this.#s3.send(new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: { CORSRules } }))
      const etag = `"${createHash('md5').update('from a script').digest('hex')}"`
      same(await this.#page.evaluate<unknown>(script), [200, etag, 'from a script'], 'what a script gets with them')
      await this.#s3.send(new DeleteBucketCorsCommand({ Bucket: bucket }))
      return 'preflights, PUT and GET'
    })
  }

  async #website(): Promise<void> {
    const { port } = new URL(this.#day.site.endpoint)
    await this.#day.journal.step('visit a website', async () => {
      await this.#s3.send(new CreateBucketCommand({ Bucket: site }))
      const Policy = JSON.stringify({
        Statement: { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${site}/*` },
      })
      await this.#s3.send(new PutBucketPolicyCommand({ Bucket: site, Policy }))
      const WebsiteConfiguration = {
        IndexDocument: { Suffix: 'index.html' },
        ErrorDocument: { Key: 'error.html' },
        RoutingRules: [{ Condition: { KeyPrefixEquals: 'old/' }, Redirect: { ReplaceKeyPrefixWith: 'docs/' } }],
      }
      await this.#s3.send(new PutBucketWebsiteCommand({ Bucket: site, WebsiteConfiguration }))
      for (const [Key, Body, WebsiteRedirectLocation] of [
        ['index.html', '<title>home</title><p>home'],
        ['docs/index.html', '<title>docs</title><p>docs'],
        ['error.html', '<title>sorry</title><p>sorry'],
        ['moved', '', '/docs/'],
      ] as const) {
        const redirect = WebsiteRedirectLocation !== undefined && { WebsiteRedirectLocation }
        await this.#s3.send(new PutObjectCommand({ Bucket: site, Key, Body, ContentType: 'text/html', ...redirect }))
      }
      const home = `http://${site}.website.localhost:${port}`
      for (const [path, title, end] of [
        ['/', 'home', '/'],
        ['/docs', 'docs', '/docs/'],
        ['/old/', 'docs', '/docs/'],
        ['/moved', 'docs', '/docs/'],
        ['/nothing', 'sorry', '/nothing'],
      ] as const) {
        await this.#page.visit(home + path)
        const found = [await this.#page.evaluate<string>('document.title'), await this.#page.address()]
        same(found, [title, home + end], `the page at ${path}`)
      }
      return 'pages, folders, redirects, the error page'
    })
  }

  async #cleanUp(): Promise<void> {
    await this.#day.journal.step('delete everything', async () => {
      const gone = (await destroyBucket(this.#s3, bucket)) + (await destroyBucket(this.#s3, site))
      return `${gone} objects`
    })
  }
}
