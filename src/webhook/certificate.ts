import { createPrivateKey, createPublicKey, sign } from 'node:crypto'

/** A self-signed X.509 certificate for an RSA key: verifiers of SNS messages read the key from one. RFC 5280, in DER. */

const tag = { integer: 0x02, bits: 0x03, utf8: 0x0c, sequence: 0x30, set: 0x31, time: 0x18, version: 0xa0 } as const

function der(kind: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Uint8Array.of(kind, length), content])
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.of(kind, ...size), content])
}

/** sha256WithRSAEncryption, with its NULL. */
const algorithm = Buffer.from('300d06092a864886f70d01010b0500', 'hex')
const commonName = Buffer.from('0603550403', 'hex')

/** `20260101000000Z` */
const time = (milliseconds: number): Buffer =>
  der(tag.time, Buffer.from(`${new Date(milliseconds).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`))

const name = (text: string): Buffer =>
  der(tag.sequence, der(tag.set, der(tag.sequence, commonName, der(tag.utf8, Buffer.from(text)))))

export interface CertificateRequest {
  /** In PEM. */
  readonly privateKey: string
  readonly commonName: string
  /** Up to 16 bytes, by chance. */
  readonly serial: Uint8Array
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly to: number
}

/** In PEM. */
export function selfSigned({ privateKey, commonName: who, serial, from, to }: CertificateRequest): string {
  const key = createPrivateKey(privateKey)
  const body = der(
    tag.sequence,
    der(tag.version, der(tag.integer, Uint8Array.of(2))),
    // A byte before it keeps it positive, and no byte of it is superfluous.
    der(tag.integer, Uint8Array.of(0x01, ...serial)),
    algorithm,
    name(who),
    der(tag.sequence, time(from), time(to)),
    name(who),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
  )
  const signature = sign('sha256', body, key)
  const certificate = der(tag.sequence, body, algorithm, der(tag.bits, Uint8Array.of(0), signature))
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
