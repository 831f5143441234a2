export type Child = Xml | string | number | boolean | undefined

/** An element of a document to be sent. */
export interface Xml {
  readonly name: string
  readonly attributes?: Readonly<Record<string, string>>
  readonly children: readonly Child[]
}

/** An element. Children that are `undefined` are left out, so optional fields need no branches. */
export const el = (name: string, ...children: readonly Child[]): Xml => ({ name, children })

/** An element with attributes, such as the `xsi:type` of a Grantee. */
export const elWith = (
  name: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly Child[]
): Xml => ({
  name,
  attributes,
  children,
})

export const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** Of all S3 documents but `<Error>`, which has none. */
const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what XML 1.0 cannot carry
const special = /[&<>"\r\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what XML 1.0 cannot carry
const specials = /[&<>"\r\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g
const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/**
 * Characters that XML 1.0 does not allow are sent as numeric references, as S3 does: what a strict parser refuses, a lenient
 * one still reads right, and no key is ever shown as another one. Clients that want to list such keys ask for encoding-type=url.
 */
const escaped = (text: string): string =>
  special.test(text) ? text.toWellFormed().replace(specials, (each) => named[each] ?? `&#${each.charCodeAt(0)};`) : text

function attributesText(attributes: Readonly<Record<string, string>>): string {
  let text = ''
  for (const name in attributes) text += ` ${name}="${escaped(attributes[name] ?? '')}"`
  return text
}

function content(children: readonly Child[]): string {
  let text = ''
  for (const child of children) {
    if (child === undefined) continue
    if (typeof child === 'object') text += element(child, '')
    else text += typeof child === 'string' ? escaped(child) : String(child)
  }
  return text
}

function element({ name, attributes, children }: Xml, extra: string): string {
  const opening = attributes === undefined ? `${name}${extra}` : `${name}${extra}${attributesText(attributes)}`
  return `<${opening}>${content(children)}</${name}>`
}

/** The whole document, with S3's namespace on the root. */
export const render = (root: Xml): string => `${declaration}${element(root, ` xmlns="${namespace}"`)}`

/** The whole document without a namespace: errors, and what is not S3's own. */
export const renderPlain = (root: Xml): string => `${declaration}${element(root, '')}`

/** The root alone, where the declaration was sent before. */
export const renderRoot = (root: Xml): string => element(root, root.name === 'Error' ? '' : ` xmlns="${namespace}"`)
