import { createCipheriv, createDecipheriv } from 'node:crypto'
import { Fault } from '#src/errors.ts'
import type { IamRecords, SessionKeys } from '#src/metadata/iam-records.ts'
import type { TagList } from '#src/model/iam.ts'
import type { Snapshot, Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** What temporary credentials say of themselves. Nothing of it is kept: the bearer brings it, sealed. */
export interface Session {
  readonly accessKeyId: string
  readonly secret: string
  readonly accountId: string
  /** Whose they are: of the account itself where there is neither; names are in lower case, ids tell a namesake made anew. */
  readonly user?: { readonly name: string; readonly id: string }
  readonly role?: { readonly name: string; readonly id: string; readonly session: string }
  /** Documents, and ARNs of managed policies, that bound the session together. */
  readonly policy?: string
  readonly policyArns?: readonly string[]
  readonly tags?: TagList
  /** Milliseconds since the epoch. */
  readonly issued: number
  readonly expires: number
}

const format = 1
const cipher = 'aes-256-gcm'
const [nonceBytes, tagBytes, idBytes] = [12, 16, 4]
/** A request's headers are 16 KiB at most, and others need room too. */
const tokenLengthMost = 8_192

/**
 * Session tokens: sealed with a key that all nodes of the metadata share, so that any of them opens what one gave.
 *
 * I12 a token that was changed by a bit, or was given by another store, opens nothing; nor does one behind its time.
 */
export class SessionTokens {
  readonly #store: Store
  readonly #world: World
  readonly #records: IamRecords

  constructor(parts: { readonly store: Store; readonly world: World; readonly records: IamRecords }) {
    this.#store = parts.store
    this.#world = parts.world
    this.#records = parts.records
  }

  async seal(session: Session): Promise<string> {
    const { id, key } = await this.currentKey()
    const nonce = this.#world.randomBytes(nonceBytes)
    const head = Buffer.concat([Uint8Array.of(format), Buffer.from(id, 'hex'), nonce])
    const sealing = createCipheriv(cipher, Buffer.from(key, 'hex'), nonce, { authTagLength: tagBytes }).setAAD(head)
    const body = Buffer.concat([sealing.update(JSON.stringify(session), 'utf8'), sealing.final()])
    const token = Buffer.concat([head, body, sealing.getAuthTag()]).toString('base64')
    if (token.length > tokenLengthMost) throw new Fault('PackedPolicyTooLarge')
    return token
  }

  /** Fault `InvalidToken`, or `ExpiredToken`; within the snapshot that reads all else of the request. */
  async open(from: Snapshot, token: string, accessKeyId: string): Promise<Session> {
    const session = opened(token, await this.#records.sessionKeys(from))
    // Whoever has one token must not sign by the key of another.
    if (session === undefined || session.accessKeyId !== accessKeyId) throw new Fault('InvalidToken')
    if (this.#world.now() >= session.expires) throw new Fault('ExpiredToken')
    return session
  }

  /** What tokens are sealed with, made where there is none. */
  async currentKey(): Promise<SessionKeys['keys'][number]> {
    const [standing] = (await this.#store.snapshot((snapshot) => this.#records.sessionKeys(snapshot))).keys
    if (standing !== undefined) return standing
    const hex = (size: number): string => Buffer.from(this.#world.randomBytes(size)).toString('hex')
    const fresh = { id: hex(idBytes), key: hex(32) }
    return await this.#store.transact(async (transaction) => {
      const { keys } = await this.#records.sessionKeys(transaction)
      if (keys[0] !== undefined) return keys[0]
      this.#records.setSessionKeys(transaction, { keys: [fresh] })
      return fresh
    })
  }
}

function opened(token: string, { keys }: SessionKeys): Session | undefined {
  const bytes = token.length <= tokenLengthMost ? Buffer.from(token, 'base64') : Buffer.alloc(0)
  const headBytes = 1 + idBytes + nonceBytes
  // One text for one token: base64 has characters to spare that change nothing.
  if (bytes.length < headBytes + tagBytes || bytes[0] !== format || bytes.toString('base64') !== token) return undefined
  const id = bytes.toString('hex', 1, 1 + idBytes)
  const known = keys.find((each) => each.id === id)
  if (known === undefined) return undefined
  const nonce = bytes.subarray(1 + idBytes, headBytes)
  const opening = createDecipheriv(cipher, Buffer.from(known.key, 'hex'), nonce, { authTagLength: tagBytes })
  opening.setAAD(bytes.subarray(0, headBytes)).setAuthTag(bytes.subarray(bytes.length - tagBytes))
  try {
    const text = Buffer.concat([opening.update(bytes.subarray(headBytes, bytes.length - tagBytes)), opening.final()])
    return JSON.parse(text.toString('utf8')) as Session
  } catch {
    return undefined
  }
}
