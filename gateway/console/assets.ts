import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { extname, join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'

/** A file of the page, as it is sent. */
export interface Asset {
  readonly type: string
  readonly etag: string
  readonly bytes: Buffer
  readonly zipped: Buffer
}

export interface Assets {
  /** Of all files together: their folder's name, so that what a browser keeps is never the wrong one. */
  readonly digest: string
  readonly files: ReadonlyMap<string, Asset>
  /** The page, with `%nonce%` and `%base%` where those belong. */
  readonly html: string
}

const types: Readonly<Record<string, string>> = {
  // Modules name each other as they lie here; what they are is what counts.
  '.ts': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const folder = join(import.meta.dirname, 'page')

function contentOf(name: string): Buffer {
  const text = readFileSync(join(folder, name), 'utf8')
  return Buffer.from(name.endsWith('.ts') ? withoutComments(stripTypeScriptTypes(text)) : text)
}

/** Comments of whole lines are for who reads the source; so is the white space that types leave behind. */
const withoutComments = (text: string): string =>
  text
    .replaceAll(/^ *\/\*\*(?:[^*]|\*(?!\/))*\*\/ *\n/gm, '')
    .replaceAll(/^ *\/\/ .*\n/gm, '')
    .replaceAll(/[ ]+$/gm, '')
    .replaceAll(/\n{2,}/g, '\n')

const level = { level: constants.Z_BEST_COMPRESSION }

/** Reads the page's files and takes their types off. */
export function loadAssets(): Assets {
  const names = readdirSync(folder)
    .filter((name) => types[extname(name)] !== undefined)
    .sort()
  const all = createHash('sha256')
  const files = new Map<string, Asset>()
  for (const name of names) {
    const bytes = contentOf(name)
    all.update(`${name}\n`).update(bytes)
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    files.set(name, { type: types[extname(name)] ?? '', etag, bytes, zipped: gzipSync(bytes, level) })
  }
  const digest = all.digest('hex').slice(0, 16)
  const html = readFileSync(join(folder, 'index.html'), 'utf8')
  const preloads = names
    .filter((name) => name.endsWith('.ts') && name !== 'main.ts')
    .map((name) => `<link rel="modulepreload" nonce="%nonce%" href="%base%/${name}">`)
  return { digest, files, html: html.replace('<!-- modules -->', preloads.join('\n')).replaceAll('%base%', digest) }
}
