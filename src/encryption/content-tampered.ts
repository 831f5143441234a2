/** Encrypted bytes, or a key of theirs, that are not what was written. Nothing of them was given out. */
export class ContentTampered extends Error {
  /** What tells it from a bug, to those who answer for it. */
  readonly code = 'tampered'
}
