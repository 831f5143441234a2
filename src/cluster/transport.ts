/**
 * How cells ask each other: a method by its name, bytes in, bytes or a stream of them out. Over HTTP in production
 * (gateway/peer), by a simulated network in test/sim. What is asked, and how it is written, belongs to who asks.
 *
 * Every call says which cell asks, its incarnation, and the epoch of the membership that it knows; a removed cell, or one of
 * another incarnation than the membership names, is refused before a method runs (C16).
 */
export interface Transport {
  /**
   * Rejects with PeerUnreachable where no answer came (what was asked may have been done), and with the Fault that the
   * method threw.
   */
  ask(cell: number, method: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
  /** As `ask`; a stream that breaks off rejects with PeerUnreachable. Slow readers are waited for. */
  stream(cell: number, method: string, request: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** As `stream`, of another node of this cell, by its origin. Absent: a cell has one node. */
  streamFrom?(origin: string, method: string, request: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** Who asks, as the transport made sure. */
export interface Caller {
  readonly cell: number
  readonly region: string
  readonly incarnation: string
}

/** What a cell answers to others. */
export interface Method {
  readonly name: string
  answer(request: Uint8Array, caller: Caller, signal: AbortSignal): Promise<Uint8Array> | AsyncIterable<Uint8Array>
}

export class PeerUnreachable extends Error {
  readonly cell: number

  constructor(cell: number, options?: ErrorOptions) {
    super(`cell ${cell} cannot be reached`, options)
    this.cell = cell
  }
}
