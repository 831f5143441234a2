import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Acl } from '#src/model/access.ts'
import type { DeleteMarker, ObjectVersion, Version } from '#src/model/version.ts'
import { decodeSummary, decodeVersion, encodeVersion } from './version-codec.ts'

const plain = { noNullPrototype: true } as const
const stamp = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((each) => each.isWellFormed())
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((each) => Buffer.from(each).toString('hex'))
const time = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const slot = <Value>(value: fc.Arbitrary<Value>) => fc.record({ stamp, value }, plain)
const pairs = fc.array(fc.tuple(text, text), { maxLength: 4 }).map((each) => new Map(each))

const base = {
  stamp,
  isNull: fc.boolean(),
  modified: time,
  owner: fc.constantFrom('ada', 'bob', ''),
  vector: fc.array(fc.tuple(fc.nat(999), stamp), { maxLength: 3 }),
}

const grantee = fc.oneof(
  fc.record({ kind: fc.constant('account' as const), id: base.owner, displayName: fc.constantFrom('', 'Ada') }, plain),
  fc.record({ kind: fc.constant('group' as const), uri: text }, plain),
)
const permission = fc.constantFrom('FULL_CONTROL' as const, 'READ', 'READ_ACP', 'WRITE', 'WRITE_ACP')
const acl: fc.Arbitrary<Acl> = fc.record(
  { owner: base.owner, grants: fc.array(fc.record({ grantee, permission }, plain), { maxLength: 2 }) },
  plain,
)
const checksum = fc.record(
  {
    algorithm: fc.constantFrom('CRC32' as const, 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'),
    type: fc.constantFrom('FULL_OBJECT' as const, 'COMPOSITE'),
    value: text,
  },
  plain,
)
const retention = fc.record({ mode: fc.constantFrom('GOVERNANCE' as const, 'COMPLIANCE'), until: time }, plain)
const content = fc.oneof(
  fc.constant({ kind: 'inline' as const }),
  fc.record({ kind: fc.constant('blob' as const), blob: hex(16) }, plain),
  fc.record({ kind: fc.constant('manifest' as const), blob: hex(16), parts: fc.nat(10_000) }, plain),
  fc.record({ kind: fc.constant('remote' as const) }, plain),
  fc.record(
    { kind: fc.constant('remote' as const), manifest: fc.record({ blob: hex(16), parts: fc.nat(99) }, plain) },
    plain,
  ),
)
const wrapped = { wrapped: hex(60), seal: hex(16) }
const encryption = fc.oneof(
  fc.record({ kind: fc.constant('SSE-C' as const), ...wrapped }, plain),
  fc.record({ kind: fc.constant('SSE-S3' as const), keyId: text, ...wrapped }, plain),
)
const remote = fc.record(
  { tier: text, bucket: text, key: text, sha256: hex(32), sealedAs: hex(16) },
  { ...plain, requiredKeys: ['tier', 'bucket', 'key', 'sha256'] },
)
const restore = fc.oneof(
  fc.record({ kind: fc.constant('ongoing' as const) }, plain),
  fc.record({ kind: fc.constant('ongoing' as const), days: fc.integer({ min: 1, max: 2 ** 31 - 1 }) }, plain),
  fc.record({ kind: fc.constant('done' as const), until: time }, plain),
)
const headerNames = ['contentType', 'cacheControl', 'contentDisposition', 'contentEncoding', 'contentLanguage'] as const
const headers = fc.record(
  Object.fromEntries([...headerNames, 'expires', 'websiteRedirectLocation'].map((name) => [name, text])),
  { ...plain, requiredKeys: [] },
)

const object: fc.Arbitrary<ObjectVersion> = fc.record(
  {
    ...base,
    kind: fc.constant('object' as const),
    size: time,
    etag: fc.oneof(
      hex(16),
      hex(16).map((each) => `${each}-7`),
      hex(16).map((each) => each.toUpperCase()),
    ),
    content,
    storageClass: fc.constantFrom('STANDARD', 'GLACIER'),
    moved: stamp,
    headers,
    metadata: pairs,
    acl: slot(acl),
    checksum,
    tags: slot(pairs),
    hold: slot(fc.boolean()),
    retention: slot(fc.option(retention, { nil: undefined })),
    encryption,
    remote,
    restore,
    replication: fc.constantFrom('PENDING' as const, 'COMPLETED', 'FAILED', 'REPLICA'),
    regions: fc.uniqueArray(fc.constantFrom('fra', 'iad', 'syd'), { minLength: 1 }),
  },
  {
    ...plain,
    requiredKeys: [
      ...(['kind', 'stamp', 'isNull', 'modified', 'owner', 'vector', 'size', 'etag'] as const),
      ...(['content', 'storageClass', 'headers', 'metadata', 'acl'] as const),
    ],
  },
)
const marker: fc.Arbitrary<DeleteMarker> = fc.record({ ...base, kind: fc.constant('marker' as const) }, plain)
const version: fc.Arbitrary<Version> = fc.oneof({ weight: 5, arbitrary: object }, { weight: 1, arbitrary: marker })

test('V1: decoding gives back what was encoded', () => {
  fc.assert(
    fc.property(version, (each) => assert.deepStrictEqual(decodeVersion(encodeVersion(each)), each)),
    { numRuns: 1000 },
  )
})

test('V1: a summary is the same, as far as it goes', () => {
  fc.assert(
    fc.property(version, (each) => {
      const summary = decodeSummary(encodeVersion(each))
      assert.equal(summary.kind, each.kind)
      assert.deepStrictEqual({ ...each, ...summary }, each)
    }),
  )
})
