/** A deliberately broken version: one replacement of text, which some check must notice. */
export interface Mutation {
  readonly name: string
  /** Of CORRECTNESS, or of the header of the file. */
  readonly rule: string
  readonly file: string
  /** Exact, and there once. */
  readonly from: string
  readonly to: string
}

export interface Mutant extends Mutation {
  /** The simulation, or the files of tests, of which one must fail. */
  readonly killers: 'sim' | readonly string[]
}

/** Some words of the name of each check of regions that must fail. */
export interface RegionMutant extends Mutation {
  readonly checks: readonly string[]
}

/** The text with its one replacement. Throws where what is to be replaced is not there once. */
export function broken(text: string, { name, file, from, to }: Mutation): string {
  const parts = text.split(from)
  if (parts.length !== 2) throw new Error(`${name}: ${file} has its text ${parts.length - 1} times, and not once`)
  return parts.join(to)
}
