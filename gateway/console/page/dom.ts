/** Elements are built here and nowhere else: text is text, whatever is in it. */

type Attributes = Readonly<Record<string, string | number | boolean | ((event: Event) => void) | undefined>>
export type Child = Node | string | undefined | false
const svgNamespace = 'http://www.w3.org/2000/svg'

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (typeof value === 'function') element.addEventListener(name, value)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children.filter((each) => each !== undefined && each !== false))
}

/** A function among the attributes listens to the event of that name. */
export function el<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  fill(element, attributes, children)
  return element
}

export function svg(name: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  const element = document.createElementNS(svgNamespace, name) as SVGElement
  fill(element, attributes, children)
  return element
}

export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as Kind
}

export const button = (text: string, click: () => void, attributes: Attributes = {}): HTMLButtonElement =>
  el('button', { type: 'button', click: () => click(), ...attributes }, text)

export const link = (text: string, href: string, attributes: Attributes = {}): HTMLAnchorElement =>
  el('a', { href, ...attributes }, text)

/** A label and what it is of; the field needs an id. */
export const labelled = (text: string, field: HTMLElement, hint?: string): HTMLElement =>
  el('p', { class: 'field' }, el('label', { for: field.id }, text), field, hint !== undefined && el('small', {}, hint))

export interface Column {
  readonly title: string
  /** Numbers stand right. */
  readonly isNumber?: boolean
  readonly isHidden?: boolean
}

/** Its caption is for who does not see it. */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly Child[])[]): HTMLElement {
  const cellClass = (at: number): string | undefined => (columns[at]?.isNumber === true ? 'number' : undefined)
  const head = columns.map(({ title, isHidden }, at) =>
    el(
      'th',
      { scope: 'col', class: cellClass(at) },
      isHidden === true ? el('span', { class: 'hidden' }, title) : title,
    ),
  )
  const body = rows.map((row) => el('tr', {}, ...row.map((cell, at) => el('td', { class: cellClass(at) }, cell))))
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    el(
      'table',
      {},
      el('caption', { class: 'hidden' }, caption),
      el('thead', {}, el('tr', {}, ...head)),
      el('tbody', {}, ...body),
    ),
  )
}

/** What is shown where there is nothing to show, and what to do about it. */
export const empty = (title: string, text: string, ...actions: readonly Child[]): HTMLElement =>
  el('div', { class: 'empty' }, el('h2', {}, title), el('p', {}, text), ...actions)

export const pairs = (entries: readonly (readonly [string, Child])[]): HTMLElement =>
  el('dl', {}, ...entries.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]))

/** Says something to everybody, also to who hears the page instead of seeing it. */
export function say(text: string, kind: 'good' | 'bad' = 'good'): void {
  const box = byId('messages')
  const message = el('p', { class: kind }, el('span', {}, text))
  message.append(button('Dismiss', () => message.remove(), { class: 'quiet' }))
  box.append(message)
  while (box.children.length > 3) box.firstElementChild?.remove()
  if (kind === 'good') setTimeout(() => message.remove(), 6_000)
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Does something that a person asked for, and says what became of it. */
export async function attempt(what: () => Promise<unknown>): Promise<boolean> {
  try {
    await what()
    return true
  } catch (error) {
    say(messageOf(error), 'bad')
    return false
  }
}
