import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { SigningKey } from './signature.ts'

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

test('a signing key signs as HMAC-SHA256 of the derived key does, texts of any length and alphabet', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 1_200, size: 'max' })
  const alphabet = fc.oneof(fc.string({ maxLength: 1_200, size: 'max' }), text)
  fc.assert(
    fc.property(fc.string(), alphabet, alphabet, (secret, first, second) => {
      const steps = ['20261128', 'auto', 's3', 'aws4_request']
      const derived = steps.reduce((key: Buffer | string, step) => hmac(key, step), `AWS4${secret}`)
      const key = new SigningKey(secret, '20261128', 'auto', 's3')
      // One after the other: what was signed before leaves nothing behind.
      for (const each of [first, second]) assert.equal(key.sign(each), hmac(derived, each).toString('hex'))
    }),
  )
})
