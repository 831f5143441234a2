import { crc32 } from 'node:zlib'
import type { BlobId } from '#src/model/blob.ts'
import type { Stamp } from '#src/model/stamp.ts'
import { append, type pack } from '#src/store/tuple.ts'

/**
 * Every kind of key, in one place: the system of record of what is kept where. Keys are a subspace byte and a tuple.
 *
 * | subspace    | tuple                              | value (written by)                                            |
 * |-------------|------------------------------------|---------------------------------------------------------------|
 * | namespace   | see namespace-keys.ts              | buckets, accounts, keys (Namespace); IAM's things (IamRecords)|
 * | current     | bucket, key                        | version record of the current object (ObjectRecords)          |
 * | version     | bucket, key, inverse stamp         | version record: every version that is not `null`, delete      |
 * |             |                                    | markers, and a `null` version that is no longer current       |
 * | nullVersion | bucket, key                        | stamp of the `null` version, where that lies under `version`  |
 * | tombstone   | bucket, key, stamp or 0 for `null` | tombstone record (C9)                                         |
 * | memory      | bucket, key                        | largest stamp of a version of this key that was removed (C7)  |
 * | inline      | bucket, key, stamp or 0 for `null` | bytes of a small object                                       |
 * | manifest    | blob, page                         | up to 500 parts of an object uploaded in parts (C6)           |
 * | blob        | blob                               | size, digest, keeper, holders (BlobRecords)                   |
 * | reference   | blob, bucket, key, stamp or 0      | nothing: that version uses that blob (C18)                    |
 * | vote        | blob                               | token: this cell said that it names the blob no more (C19)    |
 * | sharing     | nothing                            | region and cell: others may name the blobs of this one (C19)  |
 * | succession  | nothing                            | how far blobs of cells that are gone were taken over          |
 * | left        | nothing                            | nothing: this cell has left its cluster (departure-records.ts)|
 * | departure   | cell                               | what a cell that leaves still has to do                       |
 * | watched     | what, cell                         | what this cell is doing, for people (watch-records.ts)        |
 * | lostBlob    | blob                               | since when no region has a copy of it (succession-records.ts) |
 * | segment     | volume, segment                    | generation of a segment (C2)                                  |
 * | dead        | volume, segment                    | atomic counter: bytes of freed blobs in a segment             |
 * | upload      | bucket, key, upload id             | upload record (UploadRecords)                                 |
 * | part        | upload id, number                  | part record                                                   |
 * | completed   | upload id                          | what CompleteMultipartUpload answered, for 24 h (C26)         |
 * | feed        | partition ‖ versionstamp ‖ order   | which record changed, with its stamp (C14)                    |
 * | floor       | partition                          | least stamp that may be drawn (C10)                           |
 * | scrub       | region, or node                    | how far reading everything has come (ScrubProgress)           |
 * | lifecycle   | bucket                             | how far a bucket's rules were carried out (LifecycleProgress) |
 * | logStream   | target, prefix, source or 0        | which log is open (log-records.ts)                            |
 * | logSealed   | target, prefix, source or 0, number | what a log becomes that waits for its delivery               |
 * | logLine     | target, prefix, source or 0, number | one line of a log                                            |
 * |             | ‖ versionstamp ‖ order             |                                                               |
 * | task        | lane, id                           | work that is tried until it is done (task-records.ts)         |
 * | taskDue     | lane, due, id                      | nothing: when a task is due                                   |
 * | remoteName  | tier, bucket, key                  | nothing: the name at an endpoint is taken (remote-records.ts) |
 * | restored    | until, bucket, key, stamp          | bucket's name: a copy is here until then (remote-records.ts)  |
 * | cursor      | cell, incarnation, partition       | how far that cell's feed has been applied (cursors.ts)        |
 * | passing     | cell                               | how far that cell has followed this one's feed (passing.ts)   |
 * | healing     |                                    | until when records come in beside the feeds (healing.ts)      |
 * | bucketCopy  | bucket                             | how far this cell has copied it (bucket-copy.ts)              |
 * | conflict    | bucket, key, stamp                 | conflict record: a version that lost unseen (C12)             |
 * | delivery    | account, topic, target, due, id    | message on its way to an endpoint (notification-records.ts)   |
 * | deadLetter  | account, topic, time, id           | message that could not be delivered, and why                  |
 * | deadLetters | account, topic                     | atomic counter: its dead letters                              |
 * | job         | queue ‖ versionstamp ‖ order       | job (Jobs; the outbox, C28)                                   |
 * | deadJob     | ‖ versionstamp ‖ order             | job that was given up, and why (outbox.ts)                    |
 * | self        |                                    | which cell this is (ClusterRecords)                           |
 * | namespaceFeed | versionstamp ‖ order             | which row or range of the namespace changed (namespace-feed.ts)|
 * | namespaceEntry | row, or range                   | where its entry is in the feed                                |
 * | namespaceHead |                                  | position behind the last entry of the feed                    |
 * | namespaceCursor |                                | in a replica: how far it has followed, and whom               |
 * | namespaceConfirmed | cell                        | in the root: how far that cell has followed                   |
 * | namespaceHeard |                                 | in a replica: when the root was last heard                    |
 * | feedSignal  |                                    | versionstamp of the last commit that appended to the feed (feed-signal.ts) |
 * | node        | node                               | where a node of this cell is, and its last sign of life (node-records.ts) |
 * | volume      | volume                             | the node that has it (node-records.ts)                        |
 * | lead        |                                    | the node that does what is done once in a cell (node-records.ts) |
 * | copying     |                                    | that this store is a copy, and whether it is whole (copying.ts) |
 * | layout      |                                    | in which layout the rows are (layout-records.ts)              |
 * | namespaceForsaken |                              | in a replica: the root that it follows no more, and until when|
 * | migration   | bucket                             | how far the copying of its shadow has come (shadow-records.ts)|
 * | imported    | bucket, shadow, what               | atomic counter: what was brought from its shadow              |
 * | stored      | bucket, class, what                | atomic counter: objects, bytes of all versions (usage-records.ts) |
 * | usageDay    | bucket, day, metric                | atomic counter: usage of that day (usage-records.ts)          |
 * | usageMonth  | bucket, month, metric              | the same of the days of a month that were folded              |
 * | usageOwner  | bucket                             | the names of bucket and account that its usage is told under  |
 * | usageBatch  | process                            | the last batch of counts of that process that was added       |
 * | usageTick   | bucket                             | until when what is stored was added up                        |
 * | shortLived  | kind, id                           | what is good for some minutes (short-lived-records.ts)        |
 * | shortLivedEnd | end, kind, id                    | nothing: when it is forgotten                                 |
 *
 * The `null` version lies in `current` alone while it is the current one. Any other version lies in `version`, and the newest,
 * unless it is a delete marker, in `current` too. So a bucket that was never versioned has rows in `current` only.
 */
export const subspace = {
  namespace: 0x01,
  current: 0x02,
  version: 0x03,
  nullVersion: 0x04,
  tombstone: 0x05,
  memory: 0x06,
  inline: 0x07,
  manifest: 0x08,
  blob: 0x09,
  reference: 0x0a,
  segment: 0x0b,
  dead: 0x0c,
  upload: 0x0d,
  part: 0x0e,
  completed: 0x0f,
  feed: 0x10,
  floor: 0x11,
  job: 0x12,
  /** 0x13 was `scrub`, once. */
  lifecycle: 0x14,
  logStream: 0x15,
  logSealed: 0x16,
  logLine: 0x17,
  task: 0x18,
  taskDue: 0x19,
  remoteName: 0x1a,
  restored: 0x1b,
  delivery: 0x1c,
  deadLetter: 0x1d,
  deadJob: 0x1e,
  self: 0x30,
  namespaceFeed: 0x31,
  namespaceEntry: 0x32,
  namespaceHead: 0x33,
  namespaceCursor: 0x34,
  namespaceConfirmed: 0x35,
  namespaceHeard: 0x36,
  feedSignal: 0x3c,
  node: 0x38,
  volume: 0x39,
  lead: 0x3a,
  copying: 0x3b,
  layout: 0x3d,
  namespaceForsaken: 0x37,
  cursor: 0x20,
  conflict: 0x21,
  passing: 0x22,
  healing: 0x23,
  bucketCopy: 0x24,
  vote: 0x28,
  sharing: 0x29,
  succession: 0x2b,
  lostBlob: 0x2c,
  left: 0x2d,
  departure: 0x2e,
  watched: 0x2f,
  deadLetters: 0x1f,
  shortLived: 0x40,
  shortLivedEnd: 0x41,
  migration: 0x50,
  imported: 0x51,
  stored: 0x52,
  usageDay: 0x53,
  usageMonth: 0x54,
  usageOwner: 0x55,
  usageBatch: 0x56,
  usageTick: 0x57,
  /** The last: a round of reading everything ends with its own progress. */
  scrub: 0x7f,
} as const

export type Subspace = keyof typeof subspace

/** Cluster-wide: cursors name it (C15). Order holds per key, so partitions can be applied in parallel. */
export const partitions = 16

export interface KeyRange {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

const prefixes = Object.fromEntries(
  Object.entries(subspace).map(([name, byte]) => [name, Uint8Array.of(byte)]),
) as Readonly<Record<Subspace, Uint8Array>>

/** Stamps are positive and below 2^63, so the newest comes first under this. */
const inverse = (stamp: Stamp): bigint => 0x7fff_ffff_ffff_ffffn - stamp

const hex = (blob: BlobId): Uint8Array => Buffer.from(blob, 'hex')

/** The slot that a version fills in `inline`, `reference` and `tombstone`: its stamp, or 0 for `null`. */
export const slotOf = (version: { readonly stamp: Stamp; readonly isNull: boolean }): Stamp =>
  version.isNull ? 0n : version.stamp

export const partitionOf = (bucket: number, key: string): number => crc32(key, bucket) % partitions

export const keys = {
  current: (bucket: number, key: string) => append(prefixes.current, [bucket, key]),
  version: (bucket: number, key: string, stamp: Stamp) => append(prefixes.version, [bucket, key, inverse(stamp)]),
  nullVersion: (bucket: number, key: string) => append(prefixes.nullVersion, [bucket, key]),
  tombstone: (bucket: number, key: string, slot: Stamp) => append(prefixes.tombstone, [bucket, key, slot]),
  memory: (bucket: number, key: string) => append(prefixes.memory, [bucket, key]),
  inline: (bucket: number, key: string, slot: Stamp) => append(prefixes.inline, [bucket, key, slot]),
  manifest: (blob: BlobId, page: number) => append(prefixes.manifest, [hex(blob), page]),
  blob: (blob: BlobId) => append(prefixes.blob, [hex(blob)]),
  reference: (blob: BlobId, bucket: number, key: string, slot: Stamp) =>
    append(prefixes.reference, [hex(blob), bucket, key, slot]),
  vote: (blob: BlobId) => append(prefixes.vote, [hex(blob)]),
  sharing: () => append(prefixes.sharing, []),
  succession: prefixes.succession,
  left: prefixes.left,
  departure: (cell: number) => append(prefixes.departure, [cell]),
  watched: (what: string, cell: number) => append(prefixes.watched, [what, cell]),
  lostBlob: (blob: BlobId) => append(prefixes.lostBlob, [hex(blob)]),
  segment: (volume: string, segment: number) => append(prefixes.segment, [volume, segment]),
  dead: (volume: string, segment: number) => append(prefixes.dead, [volume, segment]),
  upload: (bucket: number, key: string, upload: string) => append(prefixes.upload, [bucket, key, upload]),
  part: (upload: string, number: number) => append(prefixes.part, [upload, number]),
  completed: (upload: string) => append(prefixes.completed, [upload]),
  /** A versionstamp and an order follow. */
  feed: (partition: number) => append(prefixes.feed, [partition]),
  floor: (partition: number) => append(prefixes.floor, [partition]),
  /** A versionstamp and an order follow. */
  job: (queue: string) => append(prefixes.job, [queue]),
  /** `job`: the versionstamp and the order of the job that it was, in hexadecimal. */
  deadJob: (job: string) => Buffer.concat([prefixes.deadJob, Buffer.from(job, 'hex')]),
  cursor: (cell: number, incarnation: string, partition: number) =>
    append(prefixes.cursor, [cell, incarnation, partition]),
  passing: (cell: number) => append(prefixes.passing, [cell]),
  healing: prefixes.healing,
  bucketCopy: (bucket: number) => append(prefixes.bucketCopy, [bucket]),
  conflict: (bucket: number, key: string, stamp: Stamp) => append(prefixes.conflict, [bucket, key, stamp]),
  /** `name`: of a region, or of a node that shares its cell. */
  scrub: (name: string) => append(prefixes.scrub, [name]),
  lifecycle: (bucket: number) => append(prefixes.lifecycle, [bucket]),
  logStream: (target: number, prefix: string, source: number) => append(prefixes.logStream, [target, prefix, source]),
  logSealed: (target: number, prefix: string, source: number, log: number) =>
    append(prefixes.logSealed, [target, prefix, source, log]),
  /** A versionstamp and an order follow. */
  logLine: (target: number, prefix: string, source: number, log: number) =>
    append(prefixes.logLine, [target, prefix, source, log]),
  task: (lane: string, id: string) => append(prefixes.task, [lane, id]),
  taskDue: (lane: string, due: number, id: string) => append(prefixes.taskDue, [lane, due, id]),
  remoteName: (tier: string, bucket: string, key: string) => append(prefixes.remoteName, [tier, bucket, key]),
  restored: (until: number, bucket: number, key: string, stamp: Stamp) =>
    append(prefixes.restored, [until, bucket, key, stamp]),
  /** `target`: the id of a subscription, or nothing for the topic's own endpoint. */
  delivery: (account: string, topic: string, target: string, due: number, id: string) =>
    append(prefixes.delivery, [account, topic, target, due, id]),
  deadLetter: (account: string, topic: string, time: number, id: string) =>
    append(prefixes.deadLetter, [account, topic, time, id]),
  self: prefixes.self,
  /** A versionstamp and an order follow. */
  namespaceFeed: prefixes.namespaceFeed,
  namespaceEntry: (changed: Uint8Array) => append(prefixes.namespaceEntry, [changed]),
  namespaceHead: prefixes.namespaceHead,
  namespaceCursor: prefixes.namespaceCursor,
  namespaceConfirmed: (cell: number) => append(prefixes.namespaceConfirmed, [cell]),
  namespaceHeard: prefixes.namespaceHeard,
  feedSignal: prefixes.feedSignal,
  node: (node: string) => append(prefixes.node, [node]),
  volume: (volume: string) => append(prefixes.volume, [volume]),
  lead: prefixes.lead,
  copying: prefixes.copying,
  layout: prefixes.layout,
  namespaceForsaken: prefixes.namespaceForsaken,
  migration: (bucket: number) => append(prefixes.migration, [bucket]),
  stored: (bucket: number, storageClass: string, what: string) => append(prefixes.stored, [bucket, storageClass, what]),
  usageDay: (bucket: number, day: number, metric: string) => append(prefixes.usageDay, [bucket, day, metric]),
  usageMonth: (bucket: number, month: number, metric: string) => append(prefixes.usageMonth, [bucket, month, metric]),
  usageOwner: (bucket: number) => append(prefixes.usageOwner, [bucket]),
  usageBatch: (process: string) => append(prefixes.usageBatch, [process]),
  usageTick: (bucket: number) => append(prefixes.usageTick, [bucket]),
  imported: (bucket: number, shadow: string, what: string) => append(prefixes.imported, [bucket, shadow, what]),
  deadLetters: (account: string, topic: string) => append(prefixes.deadLetters, [account, topic]),
  shortLived: (kind: string, id: string) => append(prefixes.shortLived, [kind, id]),
  shortLivedEnd: (end: number, kind: string, id: string) => append(prefixes.shortLivedEnd, [end, kind, id]),
} as const

/** Everything under a tuple of whole elements. Sound because no packed element starts with ff. */
export function under(space: Subspace, elements: Parameters<typeof pack>[0]): KeyRange {
  const from = append(prefixes[space], elements)
  return { from, to: Buffer.concat([from, Uint8Array.of(0xff)]) }
}
