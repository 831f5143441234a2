import { bucketHref, type Context, type View } from './context.ts'
import { ask } from './dialog.ts'
import { button, byId, el, empty, labelled, link, say, table } from './dom.ts'
import { plural, time } from './format.ts'
import { type Bucket, createBucket, listBuckets } from './s3.ts'

function places({ session }: Context): HTMLElement | undefined {
  if (session.regions.length < 2) return undefined
  const geographies = [...new Set(session.regions.map(({ geography }) => geography))].filter((each) => each !== '')
  const select = el(
    'select',
    { id: 'location' },
    el('option', { value: '' }, 'All regions'),
    ...session.regions.map(({ region }) => el('option', { value: region }, `Only ${region}`)),
    ...geographies.map((each) => el('option', { value: each }, `One region of ${each}`)),
  )
  return labelled(
    'Where it is',
    select,
    'A region of the bucket reads and writes without asking others. It cannot be changed later.',
  )
}

function askForBucket(context: Context): void {
  const name = el('input', {
    id: 'bucket-name',
    required: true,
    minlength: 3,
    maxlength: 63,
    pattern: '[a-z0-9][a-z0-9.\\-]*[a-z0-9]',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const versions = el('input', { id: 'bucket-versions', type: 'checkbox' })
  ask({
    title: 'New bucket',
    body: [
      labelled('Name', name, 'Lower-case letters, digits, dots and hyphens; 3 to 63 of them.'),
      places(context),
      el(
        'p',
        { class: 'check' },
        versions,
        el('label', { for: versions.id }, 'Keep versions of what is overwritten or deleted'),
      ),
    ],
    action: 'Create bucket',
    run: async () => {
      const location = document.getElementById('location') === null ? '' : byId<HTMLSelectElement>('location').value
      await createBucket(context.client, name.value, location, versions.checked)
      say(`${name.value} is there.`)
      location_(bucketHref(name.value))
    },
  })
}

const location_ = (href: string): void => {
  window.location.hash = href
}

export function askToDeleteBucket({ client }: Context, bucket: string): void {
  const typed = el('input', {
    id: 'bucket-again',
    required: true,
    pattern: bucket.replaceAll('.', '\\.'),
    autocomplete: 'off',
  })
  ask({
    title: `Delete ${bucket}?`,
    body: [
      el('p', {}, 'It has to be empty, of old versions too. Its settings go with it.'),
      labelled('Its name, to confirm', typed),
    ],
    action: 'Delete bucket',
    isDanger: true,
    run: async () => {
      await client.send({ method: 'DELETE', path: `/${bucket}` })
      say(`${bucket} is deleted.`)
      location_('#/')
    },
  })
}

const row = (context: Context, { name, created }: Bucket): readonly (Node | string)[] => [
  link(name, bucketHref(name)),
  time(created),
  button('Delete', () => askToDeleteBucket(context, name), { class: 'quiet danger', 'aria-label': `Delete ${name}` }),
]

export const bucketsView: View = async (context) => {
  const buckets = await listBuckets(context.client)
  const create = button('New bucket', () => askForBucket(context), { class: 'main' })
  const columns = [{ title: 'Name' }, { title: 'Created' }, { title: 'Actions', isHidden: true, isNumber: true }]
  const head = el('div', { class: 'title' }, el('h1', {}, 'Buckets'), buckets.length > 0 && create)
  if (buckets.length === 0) {
    const none = empty(
      'No bucket yet',
      'A bucket holds objects, and says where they are and who may read them.',
      create,
    )
    return { title: 'Buckets', body: [head, none] }
  }
  const rows = buckets.map((each) => row(context, each))
  return {
    title: 'Buckets',
    body: [head, table('Buckets', columns, rows), el('p', { class: 'soft' }, plural(buckets.length, 'bucket'))],
  }
}
