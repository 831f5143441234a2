import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { decodeCustomerKey, decodeEncryption, decodeReadKey } from './encryption-headers.ts'

const keys = fc.uint8Array({ minLength: 32, maxLength: 32 })
const own = 'x-amz-server-side-encryption-customer'

const sent = (key: Uint8Array, prefix = own): Record<string, string> => ({
  [`${prefix}-algorithm`]: 'AES256',
  [`${prefix}-key`]: Buffer.from(key).toString('base64'),
  [`${prefix}-key-md5`]: hash('md5', key, 'base64'),
})

test("a customer's key is read from three headers that agree, and from nothing less", () => {
  fc.assert(
    fc.property(keys, keys, (key, other) => {
      const headers = sent(key)
      assert.deepEqual(Buffer.from(decodeCustomerKey(headers) ?? []), Buffer.from(key))
      assert.equal(decodeCustomerKey(headers, 'source'), undefined)
      const source = sent(key, 'x-amz-copy-source-server-side-encryption-customer')
      assert.deepEqual(Buffer.from(decodeCustomerKey(source, 'source') ?? []), Buffer.from(key))
      for (const name of Object.keys(headers)) {
        const { [name]: _, ...less } = headers
        assert.throws(() => decodeCustomerKey(less), Fault, name)
      }
      if (Buffer.from(key).equals(other)) return
      assert.throws(() => decodeCustomerKey({ ...headers, [`${own}-key`]: sent(other)[`${own}-key`] }), Fault)
    }),
  )
})

test('a key of another length or alphabet is refused, and never shown', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(16, 1), Buffer.alloc(31, 1), Buffer.alloc(33, 1)]) {
    const isHidden = (error: unknown) =>
      error instanceof Fault &&
      !JSON.stringify([error.message, error.details]).includes(bytes.toString('base64') || '§')
    assert.throws(() => decodeCustomerKey(sent(bytes)), isHidden)
  }
  const key = Buffer.alloc(32, 0xff)
  const urlSafe = { ...sent(key), [`${own}-key`]: key.toString('base64url') }
  assert.throws(() => decodeCustomerKey(urlSafe), Fault)
})

test('a read asks for no encryption', () => {
  for (const name of ['', '-aws-kms-key-id', '-context', '-bucket-key-enabled']) {
    assert.throws(() => decodeReadKey({ [`x-amz-server-side-encryption${name}`]: 'AES256' }), Fault)
  }
  assert.equal(decodeReadKey({}), undefined)
})

test("a write without words of its own gets its bucket's, and the bucket's key where it names none", () => {
  const fallback = { algorithm: 'aws:kms', keyId: 'mine', hasBucketKey: true } as const
  const scheme = 'x-amz-server-side-encryption'
  assert.deepEqual(decodeEncryption({}, fallback), { kind: 'SSE-KMS', keyId: 'mine', hasBucketKey: true })
  assert.deepEqual(decodeEncryption({ [scheme]: 'aws:kms' }, fallback), decodeEncryption({}, fallback))
  assert.deepEqual(decodeEncryption({ [scheme]: 'aws:kms' }, { algorithm: 'AES256' }), {
    kind: 'SSE-KMS',
    hasBucketKey: false,
  })
  assert.deepEqual(decodeEncryption({ [`${scheme}-bucket-key-enabled`]: 'false' }, fallback), {
    kind: 'SSE-KMS',
    keyId: 'mine',
    hasBucketKey: false,
  })
  assert.deepEqual(decodeEncryption({ [scheme]: 'AES256' }, fallback), { kind: 'SSE-S3' })
  assert.deepEqual(decodeEncryption({}, { algorithm: 'AES256' }), { kind: 'SSE-S3' })
  assert.equal(decodeEncryption({}, undefined), undefined)
  assert.throws(() => decodeEncryption({ [scheme]: 'aws:kms:dsse' }, undefined), Fault)
})
