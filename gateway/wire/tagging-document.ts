import { all, child, parseXml, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import { makeTags } from '#src/model/tags.ts'
import type { Tags } from '#src/model/version.ts'

/** `<Tagging><TagSet><Tag><Key/><Value/></Tag>…`, of objects and buckets. */
export function parseTagging(bytes: Uint8Array, countMax: number): Tags {
  return readTagSet(child(parseXml(bytes, 'Tagging'), 'TagSet'), countMax)
}

/** The `Tag` elements in a TagSet, or what is called otherwise. */
export function readTagSet(node: XmlNode, countMax: number): Tags {
  return makeTags(
    all(node, 'Tag').map((tag) => [text(tag, 'Key'), text(tag, 'Value')] as const),
    countMax,
  )
}

export function taggingElement(tags: Tags): Xml {
  const elements = [...tags].map(([key, value]) => el('Tag', el('Key', key), el('Value', value)))
  return el('Tagging', el('TagSet', ...elements))
}
