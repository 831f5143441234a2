import { askToDeleteBucket } from './buckets.ts'
import { bucketHref, type Context, objectHref, type View } from './context.ts'
import { ask } from './dialog.ts'
import { attempt, button, type Child, el, empty, link, say, table } from './dom.ts'
import { bytes, plural, shown, time } from './format.ts'
import {
  deleteObjects,
  type Item,
  listObjects,
  listVersions,
  readVersioning,
  setVersioning,
  type Version,
} from './s3.ts'
import { upload } from './upload.ts'

const pageSize = 100

function crumbs(bucket: string, prefix: string): HTMLElement {
  const parts = prefix.split('/').slice(0, -1)
  const steps = parts.map((name, at) => ({ name, to: `${parts.slice(0, at + 1).join('/')}/` }))
  const all = [
    el('li', {}, link('Buckets', '#/')),
    el('li', {}, link(bucket, bucketHref(bucket))),
    ...steps.map(({ name, to }) => el('li', {}, link(name === '' ? '(empty)' : shown(name), bucketHref(bucket, to)))),
  ]
  all.at(-1)?.firstElementChild?.setAttribute('aria-current', 'page')
  return el('nav', { 'aria-label': 'Folders' }, el('ol', { class: 'crumbs' }, ...all))
}

const lastPart = (key: string, prefix: string): string => shown(key.slice(prefix.length)) || '(empty)'

const columns = [
  { title: 'Name' },
  { title: 'Size', isNumber: true },
  { title: 'Class' },
  { title: 'Changed' },
  { title: 'Actions', isHidden: true, isNumber: true },
]

/** `deleted`: what the page does then. */
export function askToDelete(
  { client }: Pick<Context, 'client'>,
  { bucket, key, isVersioned }: { readonly bucket: string; readonly key: string; readonly isVersioned: boolean },
  deleted: () => void,
): void {
  ask({
    title: 'Delete this object?',
    body: [
      el('p', { class: 'code' }, shown(key)),
      el('p', {}, isVersioned ? 'It can be restored: its versions are kept.' : 'It cannot be had back.'),
    ],
    action: 'Delete object',
    isDanger: true,
    run: async () => {
      await deleteObjects(client, bucket, [{ key }])
      say('The object is deleted.')
      deleted()
    },
  })
}

function folderRow(bucket: string, prefix: string, folder: string): readonly Child[] {
  return [link(lastPart(folder, prefix), bucketHref(bucket, folder)), '–', '–', '–', '']
}

function itemRow(context: Context, bucket: string, prefix: string, isVersioned: boolean, item: Item): readonly Child[] {
  const { key, size, storageClass, modified } = item
  const remove = button('Delete', () => askToDelete(context, { bucket, key, isVersioned }, context.refresh), {
    class: 'quiet danger',
    'aria-label': `Delete ${shown(key)}`,
  })
  return [link(lastPart(key, prefix), objectHref(bucket, key)), bytes(size), storageClass, time(modified), remove]
}

function versionRow(bucket: string, prefix: string, version: Version): readonly Child[] {
  const { key, versionId, isLatest, isMarker, size, modified } = version
  const mark = isMarker ? 'deleted' : isLatest ? 'newest' : 'older'
  const name = link(lastPart(key, prefix), objectHref(bucket, key, isMarker ? '' : versionId))
  return [
    name,
    isMarker ? '–' : bytes(size),
    el('span', { class: isMarker ? 'tag bad' : isLatest ? 'tag' : 'tag plain' }, mark),
    time(modified),
    el('code', {}, versionId),
  ]
}

type Next = Readonly<Record<string, string>> | undefined

/** A table that grows by a page when it is asked to. */
async function growing(
  caption: string,
  titles: typeof columns,
  load: (next: Next) => Promise<{ readonly rows: readonly (readonly Child[])[]; readonly next: Next }>,
): Promise<HTMLElement | undefined> {
  const first = await load(undefined)
  if (first.rows.length === 0) return undefined
  const shownTable = table(caption, titles, first.rows)
  const body = shownTable.querySelector('tbody')
  const box = el('div', { class: 'panel-plain' }, shownTable)
  let { next } = first
  const more = button('Show more', () => {
    void attempt(async () => {
      const page = await load(next)
      const fresh = table('', titles, page.rows).querySelector('tbody')
      body?.append(...(fresh?.children ?? []))
      next = page.next
      if (next === undefined) more.remove()
    })
  })
  if (next !== undefined) box.append(el('p', { class: 'more' }, more))
  return box
}

function uploader(context: Context, bucket: string, prefix: string): HTMLElement {
  const input = el('input', {
    id: 'files',
    type: 'file',
    multiple: true,
    class: 'hidden',
    tabindex: -1,
    'aria-hidden': 'true',
  })
  input.addEventListener('change', () => {
    const files = [...(input.files ?? [])]
    input.value = ''
    void send(context, bucket, prefix, files)
  })
  return el(
    'span',
    {},
    input,
    button('Upload files', () => input.click(), { class: 'main', id: 'upload' }),
  )
}

async function send(context: Context, bucket: string, prefix: string, files: readonly File[]): Promise<void> {
  if (files.length === 0) return
  const done = await upload(context.client, bucket, prefix, files)
  if (done > 0) say(`${plural(done, 'file')} uploaded.`)
  if (!context.signal.aborted) context.refresh()
}

/** Files may be dropped anywhere on the page of their folder. */
function takeDrops(context: Context, bucket: string, prefix: string): void {
  const { signal } = context
  const main = document.getElementById('main')
  const over = (event: DragEvent, isOver: boolean): void => {
    event.preventDefault()
    main?.classList.toggle('drop', isOver)
  }
  main?.addEventListener('dragover', (event) => over(event, true), { signal })
  main?.addEventListener('dragleave', (event) => over(event, false), { signal })
  main?.addEventListener(
    'drop',
    (event) => {
      over(event, false)
      void send(context, bucket, prefix, [...(event.dataTransfer?.files ?? [])])
    },
    { signal },
  )
}

function changeVersioning(context: Context, bucket: string, isOn: boolean): void {
  ask({
    title: isOn ? 'Stop keeping versions?' : 'Keep versions?',
    body: [
      el(
        'p',
        {},
        isOn
          ? 'What is overwritten or deleted from now on is gone. Versions that there are stay.'
          : 'What is overwritten or deleted from now on can be restored, and takes room until it is deleted for good.',
      ),
    ],
    action: isOn ? 'Stop keeping versions' : 'Keep versions',
    run: async () => {
      await setVersioning(context.client, bucket, isOn ? 'Suspended' : 'Enabled')
      context.refresh()
    },
  })
}

const versionColumns = [
  { title: 'Name' },
  { title: 'Size', isNumber: true },
  { title: 'Version' },
  { title: 'Written' },
  { title: 'Id' },
]

export const objectsView: View = async (context, bucket = '', prefix = '', mode = '') => {
  const { client, signal } = context
  const isOfVersions = mode === 'versions'
  const versioning = await readVersioning(client, bucket).catch(() => '')
  const isVersioned = versioning === 'Enabled'
  const options = { bucket, prefix, limit: pageSize }
  const listing = isOfVersions
    ? await growing('Versions', versionColumns, async (next) => {
        const page = await listVersions(client, { ...options, next })
        const folders = page.prefixes.map((each) => folderRow(bucket, prefix, each))
        return { rows: [...folders, ...page.items.map((each) => versionRow(bucket, prefix, each))], next: page.next }
      })
    : await growing('Objects', columns, async (next) => {
        const page = await listObjects(client, { ...options, next })
        const folders = page.prefixes.map((each) => folderRow(bucket, prefix, each))
        const rows = page.items.map((each) => itemRow(context, bucket, prefix, isVersioned, each))
        return { rows: [...folders, ...rows], next: page.next }
      })
  if (!signal.aborted) takeDrops(context, bucket, prefix)
  const hash = (how: string): string => `#/buckets/${encodeURIComponent(bucket)}/${encodeURIComponent(prefix)}${how}`
  const actions = el(
    'div',
    { class: 'actions' },
    versioning !== '' &&
      link(isOfVersions ? 'Objects' : 'Versions', hash(isOfVersions ? '' : '/versions'), { class: 'button' }),
    link('Conflicts', `#/conflicts/${encodeURIComponent(bucket)}`, { class: 'button' }),
    button(isVersioned ? 'Stop keeping versions' : 'Keep versions', () =>
      changeVersioning(context, bucket, isVersioned),
    ),
    prefix === '' && button('Delete bucket', () => askToDeleteBucket(context, bucket), { class: 'danger' }),
    uploader(context, bucket, prefix),
  )
  const nothing = empty(
    prefix === '' ? 'This bucket is empty' : 'Nothing is here',
    'Drop files here, or choose them with “Upload files”. Any S3 client can write here too.',
  )
  return {
    title: `${prefix === '' ? bucket : prefix}`,
    body: [
      crumbs(bucket, prefix),
      el(
        'div',
        { class: 'title' },
        el('h1', {}, prefix === '' ? bucket : lastPart(prefix, prefix.replace(/[^/]*\/$/, ''))),
        actions,
      ),
      el('div', { id: 'uploads', class: 'uploads' }),
      listing ?? nothing,
    ],
  }
}
