import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { selfSigned } from './certificate.ts'

test('a self-signed certificate is read and verified as X.509, whatever the serial', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const from = Date.UTC(2026, 0, 1)
  for (const serial of [new Uint8Array(15).fill(0xff), new Uint8Array(15)]) {
    const certificate = new X509Certificate(
      selfSigned({ privateKey: pem, commonName: 'here', serial, from, to: Date.UTC(2126, 0, 1) }),
    )
    assert.equal(certificate.subject, 'CN=here')
    assert.equal(certificate.issuer, 'CN=here')
    assert.equal(certificate.validFromDate.getTime(), from)
    assert.equal(certificate.validToDate.getTime(), Date.UTC(2126, 0, 1))
    assert.ok(certificate.verify(publicKey), 'signed by the key itself')
    assert.ok(certificate.publicKey.equals(publicKey))
    assert.ok(certificate.checkPrivateKey(privateKey))
  }
})
