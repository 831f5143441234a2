import type { Context } from './context.ts'
import { el, messageOf, pairs } from './dom.ts'
import { plural } from './format.ts'
import { map, type Place } from './map.ts'

interface Copies {
  readonly kind: 'inline' | 'blob' | 'manifest' | 'remote' | 'shadow'
  readonly storageClass: string
  readonly regions?: readonly string[]
  readonly writtenIn?: string
  readonly blobs: number
  readonly counted: number
  readonly holders: readonly { readonly region: string; readonly blobs: number }[]
  readonly keepers: readonly { readonly region?: string; readonly blobs: number }[]
  readonly location: string
  readonly here?: string
  readonly bucketRegions?: readonly string[]
}

/** Where the bytes are, and why there, in a sentence or two. */
function why(copies: Copies): string {
  const { kind, storageClass, blobs, counted, holders, bucketRegions, regions } = copies
  if (kind === 'shadow') return 'Only the bucket’s shadow has it: it comes here when it is first read.'
  if (kind === 'remote')
    return `Its bytes are at the endpoint of the class ${storageClass}, where a rule of the bucket has moved them.`
  if (kind === 'inline') {
    return bucketRegions === undefined
      ? 'It is small: its bytes lie beside its record.'
      : 'It is small: its bytes travel with its record, and are in every region of the bucket.'
  }
  if (bucketRegions === undefined)
    return kind === 'blob'
      ? 'Its bytes lie on the volumes of this node.'
      : `It is made of ${plural(blobs, 'part')}, on the volumes of this node.`
  const whole = holders.filter((each) => each.blobs === counted).length
  const parts = kind === 'manifest' ? `It is made of ${plural(blobs, 'part')}. ` : ''
  const held = `${parts}${plural(whole, 'region')} hold${whole === 1 ? 's' : ''} it whole.`
  if (regions?.some((each) => bucketRegions.includes(each)) === true)
    return `${held} Who wrote it said which regions are to keep it: others pass its bytes on when it is read there, and keep nothing.`
  return `${held} Others fetch it when it is read there, and keep a copy where it is read often.`
}

const locationOf = ({ location, bucketRegions = [] }: Copies): string =>
  location === '' ? 'all regions' : `${bucketRegions.join(', ')} (by its location ${location})`

function placesOf(copies: Copies): readonly Place[] {
  const { kind, bucketRegions = [], holders, here, counted } = copies
  return bucketRegions.map((region) => {
    const held = holders.find((each) => each.region === region)?.blobs ?? 0
    const isHeld = kind === 'inline' || (kind !== 'remote' && kind !== 'shadow' && held > 0)
    const note =
      kind === 'inline'
        ? 'bytes and record'
        : !isHeld
          ? 'record'
          : held < counted
            ? `record, ${held} of ${counted} parts`
            : 'record and bytes'
    return { region, state: isHeld ? 'holds' : 'plain', isHere: region === here, note }
  })
}

/** Where each copy of an object is. */
export async function copiesPanel(
  { client }: Context,
  bucket: string,
  key: string,
  version: Readonly<Record<string, string>>,
): Promise<HTMLElement> {
  const title = el('h2', {}, 'Where its copies are')
  let copies: Copies
  try {
    copies = await client.api<Copies>('copies', { bucket, key, ...version })
  } catch (error) {
    return el('section', { class: 'panel' }, title, el('p', { class: 'soft' }, messageOf(error)))
  }
  const places = placesOf(copies)
  const rows = places.map(({ region, note, isHere }) => [isHere === true ? `${region} (here)` : region, note] as const)
  return el(
    'section',
    { class: 'panel' },
    title,
    el('p', {}, why(copies)),
    places.length > 0 &&
      map(places, `A map: ${places.map(({ region, note }) => `${region} has ${note}`).join('; ')}`, true),
    places.length > 0 &&
      pairs([
        ...rows,
        ['Bucket is in', locationOf(copies)],
        ...(copies.regions === undefined ? [] : [['To be kept in', copies.regions.join(', ')] as const]),
        ...(copies.writtenIn === undefined ? [] : [['Written in', copies.writtenIn] as const]),
        ...(copies.keepers.length === 0
          ? []
          : [['Copies go by leave of', copies.keepers.map(({ region = '?' }) => region).join(', ')] as const]),
      ]),
  )
}
