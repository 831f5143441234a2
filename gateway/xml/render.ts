export type Child = Xml | string | number | boolean | undefined

/** An element of a document to be sent. */
export interface Xml {
  readonly name: string
  readonly attributes?: Readonly<Record<string, string>>
  readonly children: readonly Child[]
}

/** An element. Children that are `undefined` are left out, so optional fields need no branches. */
export const el = (name: string, ...children: readonly Child[]): Xml => ({ name, children })
