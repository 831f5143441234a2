import { attempt, button, type Child, el } from './dom.ts'

interface Question {
  readonly title: string
  readonly body: readonly Child[]
  /** What the button says that does it. */
  readonly action: string
  readonly isDanger?: boolean
  /** What is done; the dialogue stays where it fails. */
  readonly run: (form: HTMLFormElement) => Promise<unknown>
}

/** Asks before something is done. The browser keeps the focus within, and gives it back. */
export function ask({ title, body, action, isDanger = false, run }: Question): void {
  const submit = el('button', { class: isDanger ? 'danger' : 'main' }, action)
  const dialog = el('dialog', { 'aria-labelledby': 'dialog-title', close: () => dialog.remove() })
  const form: HTMLFormElement = el(
    'form',
    {
      submit: async (event) => {
        event.preventDefault()
        submit.disabled = true
        const isDone = await attempt(() => run(form))
        submit.disabled = false
        if (isDone) dialog.close()
      },
    },
    el('h2', { id: 'dialog-title' }, title),
    ...body,
    el(
      'div',
      { class: 'actions' },
      submit,
      button('Cancel', () => dialog.close()),
    ),
  )
  dialog.append(form)
  document.body.append(dialog)
  dialog.showModal()
}

/** Shows something that is to be taken along. */
export function show(title: string, ...body: readonly Child[]): void {
  const dialog = el('dialog', { 'aria-labelledby': 'dialog-title', close: () => dialog.remove() })
  const actions = el(
    'div',
    { class: 'actions' },
    button('Close', () => dialog.close()),
  )
  dialog.append(
    el('div', { class: 'panel-inner' }, el('form', {}, el('h2', { id: 'dialog-title' }, title), ...body, actions)),
  )
  document.body.append(dialog)
  dialog.showModal()
}

/** A text to take along, with a button that does. */
export function takeAlong(name: string, text: string): HTMLElement {
  const field = el('input', {
    id: `take-${name.replaceAll(' ', '-').toLowerCase()}`,
    readonly: true,
    value: text,
    class: 'code',
  })
  const copy = button('Copy', () => {
    field.select()
    // Pages of plain HTTP have no clipboard of the newer kind.
    if (navigator.clipboard === undefined) document.execCommand('copy')
    else void attempt(() => navigator.clipboard.writeText(text))
  })
  return el('div', { class: 'field' }, el('label', { for: field.id }, name), field, el('div', {}, copy))
}
