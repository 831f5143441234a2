/** A deliberately broken version: one replacement of text, which some check must notice. */
export interface Mutant {
  readonly name: string
  /** Of CORRECTNESS, or of the header of the file. */
  readonly rule: string
  readonly file: string
  /** Exact, and there once. */
  readonly from: string
  readonly to: string
  /** The simulation, or the files of tests, of which one must fail. */
  readonly killers: 'sim' | readonly string[]
}
