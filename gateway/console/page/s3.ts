import { type Client, child, children } from './client.ts'
import { sha256 } from './sha256.ts'

/** The operations of S3 that the page needs; each is everybody's, and decided by the same policies. */

export interface Bucket {
  readonly name: string
  readonly created: string
}

export interface Item {
  readonly key: string
  readonly size: number
  readonly modified: string
  readonly etag: string
  readonly storageClass: string
}

export interface Version extends Item {
  readonly versionId: string
  readonly isLatest: boolean
  readonly isMarker: boolean
}

export interface Page<Each> {
  readonly items: readonly Each[]
  readonly prefixes: readonly string[]
  /** Query of the next page; undefined: this was the last. */
  readonly next: Readonly<Record<string, string>> | undefined
}

const plain = (etag: string): string => etag.replaceAll('"', '')
/** Keys are asked for encoded, as XML cannot hold all of them. */
const decoded = (text: string): string => decodeURIComponent(text.replaceAll('+', '%20'))

export async function listBuckets(client: Client): Promise<readonly Bucket[]> {
  const found: Bucket[] = []
  let after: string | undefined
  do {
    const query = after === undefined ? {} : { 'continuation-token': after }
    const root = (await client.send({ path: '/', query: { 'max-buckets': '1000', ...query } })).xml?.documentElement
    for (const each of children(children(root, 'Buckets')[0], 'Bucket')) {
      found.push({ name: child(each, 'Name'), created: child(each, 'CreationDate') })
    }
    after = child(root, 'ContinuationToken') || undefined
  } while (after !== undefined)
  return found
}

const itemOf = (each: Element): Item => ({
  key: decoded(child(each, 'Key')),
  size: Number(child(each, 'Size')),
  modified: child(each, 'LastModified'),
  etag: plain(child(each, 'ETag')),
  storageClass: child(each, 'StorageClass') || 'STANDARD',
})

const prefixesOf = (root: Element | undefined): readonly string[] =>
  children(root, 'CommonPrefixes').map((each) => decoded(child(each, 'Prefix')))

export interface ListOptions {
  readonly bucket: string
  readonly prefix: string
  readonly limit: number
  readonly next?: Readonly<Record<string, string>> | undefined
}

export async function listObjects(client: Client, { bucket, prefix, limit, next }: ListOptions): Promise<Page<Item>> {
  const query = { 'list-type': '2', delimiter: '/', prefix, 'max-keys': String(limit), 'encoding-type': 'url', ...next }
  const root = (await client.send({ path: `/${bucket}`, query })).xml?.documentElement
  const token = child(root, 'NextContinuationToken')
  return {
    items: children(root, 'Contents').map(itemOf),
    prefixes: prefixesOf(root),
    next: token === '' ? undefined : { 'continuation-token': token },
  }
}

export async function listVersions(
  client: Client,
  { bucket, prefix, limit, next, delimiter = '/' }: ListOptions & { readonly delimiter?: string },
): Promise<Page<Version>> {
  const cut = delimiter === '' ? {} : { delimiter }
  const query = { versions: '', prefix, ...cut, 'max-keys': String(limit), 'encoding-type': 'url', ...next }
  const root = (await client.send({ path: `/${bucket}`, query })).xml?.documentElement
  const rows = [...(root?.children ?? [])].filter((each) => /^(Version|DeleteMarker)$/.test(each.localName))
  const isCut = child(root, 'IsTruncated') === 'true'
  return {
    items: rows.map((each) => ({
      ...itemOf(each),
      versionId: child(each, 'VersionId'),
      isLatest: child(each, 'IsLatest') === 'true',
      isMarker: each.localName === 'DeleteMarker',
    })),
    prefixes: prefixesOf(root),
    next: isCut
      ? { 'key-marker': decoded(child(root, 'NextKeyMarker')), 'version-id-marker': child(root, 'NextVersionIdMarker') }
      : undefined,
  }
}

/** XML by the browser's own hand, so that nothing in a key can be more than text. */
function document_(root: string): {
  readonly document: Document
  add(parent: Element, name: string, text?: string): Element
} {
  const document = window.document.implementation.createDocument('http://s3.amazonaws.com/doc/2006-03-01/', root)
  return {
    document,
    add(parent, name, text) {
      const element = document.createElementNS('http://s3.amazonaws.com/doc/2006-03-01/', name)
      if (text !== undefined) element.textContent = text
      parent.append(element)
      return element
    },
  }
}

/** As S3 wants it of deletions: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const checksumOf = (text: string): string => btoa(String.fromCharCode(...sha256(new TextEncoder().encode(text))))

const written = (document: Document): string => new XMLSerializer().serializeToString(document)

/** Rejects where one of them could not be deleted. */
export async function deleteObjects(
  client: Client,
  bucket: string,
  names: readonly { readonly key: string; readonly versionId?: string }[],
): Promise<void> {
  const { document, add } = document_('Delete')
  const root = document.documentElement
  add(root, 'Quiet', 'true')
  for (const { key, versionId } of names) {
    const object = add(root, 'Object')
    add(object, 'Key', key)
    if (versionId !== undefined) add(object, 'VersionId', versionId)
  }
  const body = written(document)
  const headers = { 'content-type': 'application/xml', 'x-amz-checksum-sha256': checksumOf(body) }
  const answer = await client.send({ method: 'POST', path: `/${bucket}`, query: { delete: '' }, headers, body })
  const [failed] = children(answer.xml?.documentElement, 'Error')
  if (failed !== undefined)
    throw new Error(`${child(failed, 'Key')}: ${child(failed, 'Message') || child(failed, 'Code')}`)
}

export async function createBucket(
  client: Client,
  name: string,
  location: string,
  isVersioned: boolean,
): Promise<void> {
  const headers = location === '' ? {} : { 'x-tigris-regions': location }
  await client.send({ method: 'PUT', path: `/${name}`, headers })
  if (isVersioned) await setVersioning(client, name, 'Enabled')
}

export async function setVersioning(client: Client, bucket: string, status: 'Enabled' | 'Suspended'): Promise<void> {
  const { document, add } = document_('VersioningConfiguration')
  add(document.documentElement, 'Status', status)
  await client.send({ method: 'PUT', path: `/${bucket}`, query: { versioning: '' }, body: written(document) })
}

/** As S3 calls it; empty: versions were never kept. */
export async function readVersioning(client: Client, bucket: string): Promise<string> {
  const answer = await client.send({ path: `/${bucket}`, query: { versioning: '' } })
  return child(answer.xml?.documentElement, 'Status')
}

/** The parts of one upload, so that it can be completed. */
export async function completeUpload(
  client: Client,
  path: string,
  uploadId: string,
  etags: readonly string[],
): Promise<void> {
  const { document, add } = document_('CompleteMultipartUpload')
  for (const [at, etag] of etags.entries()) {
    const part = add(document.documentElement, 'Part')
    add(part, 'PartNumber', String(at + 1))
    add(part, 'ETag', etag)
  }
  await client.send({ method: 'POST', path, query: { uploadId }, body: written(document) })
}

/** Puts a version into the place of the newest one, on the store's side. */
export async function restoreVersion(client: Client, bucket: string, key: string, versionId: string): Promise<void> {
  const source = `/${bucket}/${encodeURIComponent(key)}?versionId=${versionId}`
  await client.send({ method: 'PUT', path: `/${bucket}/${key}`, headers: { 'x-amz-copy-source': source } })
}
