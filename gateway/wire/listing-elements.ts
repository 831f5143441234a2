import { el, type Xml } from '#gateway/xml/render.ts'
import type { Person } from '#src/model/acl.ts'
import type { Restore } from '#src/model/tier.ts'
import type { ObjectSummary } from '#src/model/version.ts'
import { ownerElement } from './acl-document.ts'
import { quoteEtag } from './etag.ts'
import { formatIsoDate } from './http-date.ts'
import type { KeyEncoding, ListingQuery } from './listing-query.ts'

export const prefixElements = (prefixes: readonly string[], { encode }: KeyEncoding): readonly Xml[] =>
  prefixes.map((each) => el('CommonPrefixes', el('Prefix', encode(each))))

/** An optional element with a key in it. */
export const keyElement = (name: string, key: string | undefined, { encode }: KeyEncoding): Xml | undefined =>
  key === undefined ? undefined : el(name, encode(key))

/** What every listing says of the question; an empty delimiter is none. */
export const echoElements = (
  { prefix, delimiter, encoding }: ListingQuery,
  prefixAsIs = false,
): readonly (Xml | undefined)[] => [
  el('Prefix', prefixAsIs ? prefix : encoding.encode(prefix)),
  delimiter === '' ? undefined : el('Delimiter', encoding.encode(delimiter)),
  encoding.type === undefined ? undefined : el('EncodingType', encoding.type),
]

/** What listings of objects and of versions say of an object, behind its name. */
export const summaryElements = (
  { modified, etag, checksum, size, storageClass }: ObjectSummary,
  owner: Person | undefined,
  restore: Restore | undefined,
): readonly (Xml | undefined)[] => [
  el('LastModified', formatIsoDate(modified)),
  el('ETag', quoteEtag(etag)),
  checksum === undefined ? undefined : el('ChecksumAlgorithm', checksum.algorithm),
  checksum === undefined ? undefined : el('ChecksumType', checksum.type),
  el('Size', size),
  owner === undefined ? undefined : ownerElement('Owner', owner),
  el('StorageClass', storageClass),
  restore === undefined ? undefined : restoreElement(restore),
]

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html */
const restoreElement = (restore: Restore): Xml =>
  el(
    'RestoreStatus',
    el('IsRestoreInProgress', restore.kind === 'ongoing'),
    restore.kind === 'done' ? el('RestoreExpiryDate', formatIsoDate(restore.until)) : undefined,
  )
