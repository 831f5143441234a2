export interface Page<Item> {
  readonly items: readonly Item[]
  /** Where the next page starts; undefined: this was the last. */
  readonly next?: string
}
