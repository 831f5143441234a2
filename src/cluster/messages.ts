/** Small messages between cells: JSON, with bytes as base64. */
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const encodeMessage = (message: unknown): Uint8Array => encoder.encode(JSON.stringify(message))

/** Both ends are members of one cluster and the transport made sure of the bytes: their shape is not checked again. */
export const decodeMessage = <Message>(bytes: Uint8Array): Message => JSON.parse(decoder.decode(bytes)) as Message

export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
export const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'base64')
