import { Fault } from '#src/errors.ts'
import { malformed, value, type XmlNode } from './parse.ts'
import { el, type Xml } from './render.ts'

/**
 * Documents that are kept and told as they are, held to a shape.
 *
 * X3  what conforms holds the elements of its shape and no others, each as often as it may come.
 */
export type Shape = Leaf | Parent

interface Leaf {
  readonly kind: 'leaf'
  readonly allows: (text: string) => boolean
}

interface Parent {
  readonly kind: 'parent'
  readonly fields: Readonly<Record<string, Field>>
  /** Of how many names children may be at once; undefined: of any. */
  readonly namesMost: number | undefined
}

interface Field {
  readonly shape: Shape
  readonly least: number
  readonly most: number
}

export const leaf = (allows: (text: string) => boolean = () => true): Leaf => ({ kind: 'leaf', allows })
export const words = (...all: readonly string[]): Leaf => leaf((text) => all.includes(text))
export const parent = (fields: Readonly<Record<string, Field>>): Parent => ({
  kind: 'parent',
  fields,
  namesMost: undefined,
})
/** Just one of the fields. */
export const choice = (shapes: Readonly<Record<string, Shape>>): Parent => {
  const fields = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, optional(shape)]))
  return { kind: 'parent', fields, namesMost: 1 }
}
export const one = (shape: Shape): Field => ({ shape, least: 1, most: 1 })
export const optional = (shape: Shape): Field => ({ shape, least: 0, most: 1 })
export const several = (shape: Shape, least: number, most: number): Field => ({ shape, least, most })

/** The same document, in the order of its shape. Faults MalformedXML, InvalidArgument (of a text). */
export function conform(node: XmlNode, shape: Shape): Xml {
  if (shape.kind === 'leaf') {
    const text = value(node)
    if (shape.allows(text)) return el(node.name, text)
    throw new Fault('InvalidArgument', { ArgumentName: node.name, ArgumentValue: text.slice(0, 1_024) })
  }
  const { fields, namesMost } = shape
  if (node.text.trim() !== '') throw malformed()
  for (const name of node.children.keys()) if (!Object.hasOwn(fields, name)) throw malformed()
  if (namesMost !== undefined && node.children.size !== namesMost) throw malformed()
  const children = Object.entries(fields).flatMap(([name, field]) => {
    const found = node.children.get(name) ?? []
    if (found.length < field.least || found.length > field.most) throw malformed()
    return found.map((each) => conform(each, field.shape))
  })
  return el(node.name, ...children)
}
