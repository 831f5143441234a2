import { type Client, child, children } from './client.ts'
import { bucketHref, type Context, objectHref, type View } from './context.ts'
import { copiesPanel } from './copies.ts'
import { ask, show, takeAlong } from './dialog.ts'
import { attempt, button, type Child, el, labelled, link, pairs, say, table } from './dom.ts'
import { bytes, shown, time } from './format.ts'
import { askToDelete } from './objects.ts'
import { deleteObjects, listVersions, restoreVersion, type Version } from './s3.ts'

interface Properties {
  readonly header: (name: string) => string | undefined
  readonly names: readonly string[]
  /** False: it is deleted, or never was. */
  readonly isThere: boolean
}

async function read(
  client: Client,
  bucket: string,
  key: string,
  version: Readonly<Record<string, string>>,
): Promise<Properties> {
  try {
    const { header, names } = await client.send({ method: 'HEAD', path: `/${bucket}/${key}`, query: version })
    return { header, names, isThere: true }
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 404)
      return { header: () => undefined, names: [], isThere: false }
    throw error
  }
}

async function readTags(
  client: Client,
  bucket: string,
  key: string,
  version: Readonly<Record<string, string>>,
): Promise<readonly (readonly [string, string])[]> {
  const { xml } = await client.send({ path: `/${bucket}/${key}`, query: { tagging: '', ...version } })
  const set = children(xml?.documentElement, 'TagSet')[0]
  return children(set, 'Tag').map((each) => [child(each, 'Key'), child(each, 'Value')] as const)
}

function metadataOf({ header, names }: Properties): readonly (readonly [string, string])[] {
  const own = names.filter((name) => name.startsWith('x-amz-meta-'))
  return own.map((name) => [shown(name.slice('x-amz-meta-'.length)), shown(header(name) ?? '')] as const)
}

const known: readonly (readonly [string, string])[] = [
  ['Type', 'content-type'],
  ['ETag', 'etag'],
  ['Class', 'x-amz-storage-class'],
  ['Version', 'x-amz-version-id'],
  ['Encryption', 'x-amz-server-side-encryption'],
  ['Caching', 'cache-control'],
  ['Disposition', 'content-disposition'],
  ['Coding', 'content-encoding'],
  ['Expiry', 'x-amz-expiration'],
  ['Replication', 'x-amz-replication-status'],
  ['Locked until', 'x-amz-object-lock-retain-until-date'],
  ['Legal hold', 'x-amz-object-lock-legal-hold'],
  ['Served from', 'x-tigris-served-from'],
]

function propertiesPanel(properties: Properties, tags: readonly (readonly [string, string])[]): HTMLElement {
  const { header } = properties
  const metadata = metadataOf(properties)
  const size = Number(header('content-length'))
  const rows: (readonly [string, Child])[] = [
    ['Size', size < 1024 ? bytes(size) : `${bytes(size)} (${size.toLocaleString('en')} bytes)`],
    ['Changed', time(header('last-modified') ?? '')],
  ]
  for (const [title, name] of known) {
    const value = header(name) ?? (name === 'x-amz-storage-class' ? 'STANDARD' : undefined)
    if (value !== undefined)
      rows.push([
        title,
        el(
          'span',
          { class: name === 'etag' || name === 'x-amz-version-id' ? 'code' : undefined },
          shown(value.replaceAll('"', '')),
        ),
      ])
  }
  const tagged = tags.map(([name, value]) => el('span', { class: 'tag plain' }, `${shown(name)} = ${shown(value)}`))
  rows.push([
    'Tags',
    tagged.length === 0 ? el('span', { class: 'soft' }, 'none') : el('span', { class: 'actions' }, ...tagged),
  ])
  return el(
    'section',
    { class: 'panel' },
    el('h2', {}, 'Properties'),
    pairs(rows),
    metadata.length > 0 && el('h2', {}, 'Metadata'),
    metadata.length > 0 && pairs(metadata),
  )
}

/** Browsers are led to the bytes by a link that is good for a few minutes: nothing of them is held by the page. */
function download(client: Client, bucket: string, key: string, version: Readonly<Record<string, string>>): void {
  const name = key.split('/').at(-1) || 'object'
  const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (each) => `%${each.charCodeAt(0).toString(16)}`)}`
  const href = client.link(`/${bucket}/${key}`, 300, { ...version, 'response-content-disposition': disposition })
  const anchor = el('a', { href, download: name, rel: 'noopener' })
  document.body.append(anchor)
  anchor.click()
  anchor.remove()
}

const lifetimes: readonly (readonly [string, number])[] = [
  ['An hour', 3_600],
  ['A day', 86_400],
  ['7 days', 604_800],
]

function askToShare(client: Client, bucket: string, key: string, version: Readonly<Record<string, string>>): void {
  const select = el(
    'select',
    { id: 'share-time' },
    ...lifetimes.map(([name, seconds]) => el('option', { value: seconds }, name)),
  )
  ask({
    title: 'Share a link',
    body: [
      el('p', {}, 'Whoever has the link can read the object, until it ends or your key does.'),
      labelled('It is good for', select),
    ],
    action: 'Make the link',
    run: async () => {
      const url = client.link(`/${bucket}/${key}`, Number(select.value), version)
      setTimeout(() => show('The link', takeAlong('Link', url)))
    },
  })
}

function askToRemoveVersion(context: Context, bucket: string, key: string, versionId: string): void {
  ask({
    title: 'Delete this version for good?',
    body: [el('p', { class: 'code' }, shown(key)), el('p', {}, `Version ${versionId} cannot be had back.`)],
    action: 'Delete version',
    isDanger: true,
    run: async () => {
      await deleteObjects(context.client, bucket, [{ key, versionId }])
      say('The version is deleted.')
      context.refresh()
    },
  })
}

async function restore(context: Context, bucket: string, key: string, { versionId, isMarker }: Version): Promise<void> {
  // What a delete marker hides is there again when the marker goes; other versions become the newest by a copy.
  if (isMarker) await deleteObjects(context.client, bucket, [{ key, versionId }])
  else await restoreVersion(context.client, bucket, key, versionId)
  say('It is restored.')
  location.hash = objectHref(bucket, key)
  context.refresh()
}

function versionsPanel(context: Context, bucket: string, key: string, versions: readonly Version[]): HTMLElement {
  const rows = versions.map((version) => {
    const { versionId, isLatest, isMarker, size, modified } = version
    const tag = el(
      'span',
      { class: isMarker ? 'tag bad' : isLatest ? 'tag' : 'tag plain' },
      isMarker ? 'deleted' : isLatest ? 'newest' : 'older',
    )
    const isRestorable = isLatest === isMarker
    const actions = el(
      'span',
      { class: 'row-actions' },
      isRestorable &&
        button('Restore', () => void attempt(() => restore(context, bucket, key, version)), {
          class: 'quiet',
          'aria-label': `Restore ${versionId}`,
        }),
      button('Delete', () => askToRemoveVersion(context, bucket, key, versionId), {
        class: 'quiet danger',
        'aria-label': `Delete version ${versionId}`,
      }),
    )
    const name = isMarker
      ? el('code', {}, versionId)
      : link(versionId, objectHref(bucket, key, versionId), { class: 'code' })
    return [name, tag, isMarker ? '–' : bytes(size), time(modified), actions]
  })
  const columns = [
    { title: 'Version' },
    { title: 'State' },
    { title: 'Size', isNumber: true },
    { title: 'Written' },
    { title: 'Actions', isHidden: true, isNumber: true },
  ]
  return el(
    'section',
    { class: 'panel bare' },
    el('h2', {}, 'Versions'),
    table('Versions of the object', columns, rows),
  )
}

/** To the folder that the object was in. */
function leave(bucket: string, key: string): void {
  location.hash = bucketHref(bucket, key.slice(0, key.lastIndexOf('/') + 1))
}

function actionsOf(
  context: Context,
  bucket: string,
  key: string,
  version: Readonly<Record<string, string>>,
  isVersioned: boolean,
): HTMLElement {
  const { client } = context
  return el(
    'div',
    { class: 'actions' },
    button('Share', () => void attempt(async () => askToShare(client, bucket, key, version))),
    version['versionId'] === undefined &&
      button('Delete', () => askToDelete(context, { bucket, key, isVersioned }, () => leave(bucket, key)), {
        class: 'danger',
      }),
    button('Download', () => void attempt(async () => download(client, bucket, key, version)), { class: 'main' }),
  )
}

export const objectView: View = async (context, bucket = '', key = '', versionId = '') => {
  const { client } = context
  const version: Record<string, string> = versionId === '' ? {} : { versionId }
  const [properties, page] = await Promise.all([
    read(client, bucket, key, version),
    listVersions(client, { bucket, prefix: key, limit: 200, delimiter: '' }).catch(() => undefined),
  ])
  const versions = page?.items.filter((each) => each.key === key) ?? []
  const isVersioned = versions.some((each) => each.versionId !== 'null')
  const { isThere } = properties
  const tags = isThere ? await readTags(client, bucket, key, version).catch(() => []) : []
  const folder = key.slice(0, key.lastIndexOf('/') + 1)
  const crumbs = el(
    'nav',
    { 'aria-label': 'Folders' },
    el(
      'ol',
      { class: 'crumbs' },
      el('li', {}, link('Buckets', '#/')),
      el('li', {}, link(bucket, bucketHref(bucket))),
      folder !== '' && el('li', {}, link(shown(folder.slice(0, -1)), bucketHref(bucket, folder))),
    ),
  )
  const name = shown(key.slice(folder.length)) || '(empty)'
  const copies = isThere ? await copiesPanel(context, bucket, key, version) : undefined
  return {
    title: name,
    body: [
      crumbs,
      el(
        'div',
        { class: 'title' },
        el('h1', {}, name),
        isThere && actionsOf(context, bucket, key, version, isVersioned),
      ),
      isThere
        ? el('div', { class: 'sides' }, propertiesPanel(properties, tags), copies)
        : el(
            'p',
            { class: 'alert' },
            versions.length > 0
              ? 'This object is deleted. A version of it can be restored.'
              : 'There is no such object.',
          ),
      ...(versions.length > 0 && (isVersioned || !isThere) ? [versionsPanel(context, bucket, key, versions)] : []),
    ],
  }
}
