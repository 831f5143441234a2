import { type KeyObject, sign } from 'node:crypto'

/** A certificate that signs itself, made by hand: Node reads them and makes none. X.690 and RFC 5280, no more than is needed. */

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  if (body.length < 0x80) return Buffer.concat([Uint8Array.of(tag, body.length), body])
  const digits = body.length.toString(16)
  const length = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
  return Buffer.concat([Uint8Array.of(tag, 0x80 | length.length), length, body])
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
const time = (date: Date): Buffer =>
  der(0x17, Buffer.from(date.toISOString().replace(/^20|[-:T]|\.\d{3}/g, ''), 'latin1'))

/** sha256WithRSAEncryption, and id-at-commonName. */
const algorithm = sequence(Buffer.from('06092a864886f70d01010b0500', 'hex'))
const commonName = Buffer.from('0603550403', 'hex')
const day = 86_400_000

/** In DER. `key` is an RSA key pair's. */
export function selfSigned(
  name: string,
  key: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
): Buffer {
  const subject = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from(name, 'utf8')))))
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, Uint8Array.of(1)),
    algorithm,
    subject,
    sequence(time(new Date(Date.now() - day)), time(new Date(Date.now() + 30 * day))),
    subject,
    key.publicKey.export({ type: 'spki', format: 'der' }),
  )
  return sequence(body, algorithm, der(0x03, Uint8Array.of(0), sign('sha256', body, key.privateKey)))
}
