import { Parser } from 'xml2js'
import { Fault } from '#src/errors.ts'
import { checkShape } from './shape.ts'

/**
 * Request documents.
 *
 * X1  a document is refused before it is parsed where its size, depth or number of elements could cost more than it is worth,
 *     or where it has a DOCTYPE; the refusal is MalformedXML.
 * X2  text is returned as it was written: never trimmed, never made a number or a boolean by itself.
 */
export interface XmlNode {
  readonly name: string
  /** Empty where there are child elements. */
  readonly text: string
  /** Names without their prefix. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: ReadonlyMap<string, readonly XmlNode[]>
}

export interface XmlLimits {
  readonly bytesMax: number
  readonly elementsMax: number
}

/** What settings documents need at most: AWS refuses lifecycle or CORS documents far below this. */
export const settingsLimits: XmlLimits = { bytesMax: 1 << 20, elementsMax: 20_000 }
/** 1,000 keys of 1,024 bytes with an id, an ETag and dates; or 10,000 parts with a checksum each. */
export const listLimits: XmlLimits = { bytesMax: 4 << 20, elementsMax: 100_000 }

export const malformed = (message?: string): Fault =>
  new Fault('MalformedXML', message === undefined ? {} : { message })

// Names that no XML name can be, so that an element called `_` or `$` stays an element.
const textKey = '\0text'
const attributesKey = '\0attributes'

const nothing: ReadonlyMap<string, never> = new Map<string, never>()

/** S3 takes any namespace, and any prefix for it. */
const localName = (name: string): string => name.slice(name.indexOf(':') + 1)

function leaf(name: string, text: string): XmlNode {
  if (!text.isWellFormed()) throw malformed()
  return { name, text, attributes: nothing, children: nothing }
}

type Tree = Readonly<Record<string, unknown>>

function attributesOf(tree: Tree): ReadonlyMap<string, string> {
  const attributes = tree[attributesKey]
  if (typeof attributes !== 'object' || attributes === null) return nothing
  return new Map(Object.entries(attributes).map(([name, value]) => [localName(name), String(value)]))
}

function toNode(name: string, tree: unknown): XmlNode {
  if (typeof tree === 'string') return leaf(name, tree)
  if (typeof tree !== 'object' || tree === null) return leaf(name, '')
  const children = new Map<string, readonly XmlNode[]>()
  let text = ''
  for (const [key, value] of Object.entries(tree)) {
    // xml2js mixes an element of such a name with what every object inherits; S3 has none.
    if (key in Object.prototype) throw malformed()
    if (key === textKey) text = String(value)
    else if (key !== attributesKey && Array.isArray(value)) children.set(key, childrenOf(key, value, children))
  }
  if (children.size > 0 && text.trim() !== '') throw malformed()
  if (!text.isWellFormed()) throw malformed()
  return { name, text, attributes: attributesOf(tree as Tree), children }
}

function childrenOf(name: string, values: readonly unknown[], among: ReadonlyMap<string, readonly XmlNode[]>) {
  return [...(among.get(name) ?? []), ...values.map((each) => toNode(name, each))]
}

function parseTree(document: string): Tree {
  let failure: unknown
  let tree: unknown
  const parser = new Parser({
    strict: true,
    async: false,
    trim: false,
    normalize: false,
    explicitRoot: true,
    explicitArray: true,
    charkey: textKey,
    attrkey: attributesKey,
    emptyTag: '',
    tagNameProcessors: [localName],
  })
  try {
    parser.parseString(document, (error: unknown, result: unknown) => {
      failure ??= error ?? undefined
      tree = result
    })
  } catch (thrown) {
    // What follows the root is thrown instead of told.
    failure = thrown
  }
  if (failure !== undefined || typeof tree !== 'object' || tree === null) throw malformed()
  return tree as Tree
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw malformed()
  }
}

/** The root of a document, which must have one of the given names. */
export function parseXml(bytes: Uint8Array, roots: string | readonly string[], limits = settingsLimits): XmlNode {
  if (bytes.length > limits.bytesMax) throw malformed()
  const document = decode(bytes)
  checkShape(document, limits.elementsMax)
  const [[name, tree] = ['', undefined]] = Object.entries(parseTree(document))
  if (!(typeof roots === 'string' ? roots === name : roots.includes(name))) throw malformed()
  return toNode(name, tree)
}

/** All children of a name, in order. */
export const all = (node: XmlNode, name: string): readonly XmlNode[] => node.children.get(name) ?? []

export function optionalChild(node: XmlNode, name: string): XmlNode | undefined {
  const [first, second] = all(node, name)
  if (second !== undefined) throw malformed()
  return first
}

export function child(node: XmlNode, name: string): XmlNode {
  const found = optionalChild(node, name)
  if (found === undefined) throw malformed()
  return found
}

/** The text of this element itself, which must have no children. */
export function value(node: XmlNode): string {
  if (node.children.size > 0) throw malformed()
  return node.text
}

export const text = (node: XmlNode, name: string): string => value(child(node, name))

export function optionalText(node: XmlNode, name: string): string | undefined {
  const found = optionalChild(node, name)
  return found === undefined ? undefined : value(found)
}

/** The texts of all children of a name. */
export const texts = (node: XmlNode, name: string): readonly string[] => all(node, name).map(value)

function toInteger(written: string, min: number, max: number): number {
  const digits = written.trim()
  const number = /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN
  if (!(number >= min && number <= max)) throw malformed()
  return number
}

export const integer = (node: XmlNode, name: string, min: number, max: number): number =>
  toInteger(text(node, name), min, max)

export function optionalInteger(node: XmlNode, name: string, min: number, max: number): number | undefined {
  const written = optionalText(node, name)
  return written === undefined ? undefined : toInteger(written, min, max)
}

export function optionalBoolean(node: XmlNode, name: string): boolean | undefined {
  const written = optionalText(node, name)?.trim().toLowerCase()
  if (written === undefined) return undefined
  if (written !== 'true' && written !== 'false') throw malformed()
  return written === 'true'
}

export function boolean(node: XmlNode, name: string): boolean {
  const found = optionalBoolean(node, name)
  if (found === undefined) throw malformed()
  return found
}

/** Refuses children of other names, where AWS's schema does. */
export function only(node: XmlNode, ...names: readonly string[]): void {
  for (const name of node.children.keys()) if (!names.includes(name)) throw malformed()
}

/** An attribute by its name without prefix. */
export const attribute = (node: XmlNode, name: string): string | undefined => node.attributes.get(name)
