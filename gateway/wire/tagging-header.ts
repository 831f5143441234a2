import { Fault } from '#src/errors.ts'
import { makeTags, objectTagsMax } from '#src/model/tags.ts'
import type { Tags } from '#src/model/version.ts'

/** `x-amz-tagging: a=1&b=2`, encoded as a query is. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
export function parseTaggingHeader(text: string): Tags {
  const pairs = text.split('&').filter((pair) => pair !== '')
  return makeTags(pairs.map(parsePair), objectTagsMax)
}

function parsePair(pair: string): readonly [string, string] {
  const cut = pair.indexOf('=')
  return cut < 0 ? [decode(pair), ''] : [decode(pair.slice(0, cut)), decode(pair.slice(cut + 1))]
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replace(/\+/g, ' '))
  } catch {
    throw new Fault('InvalidArgument', {
      message:
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      ArgumentName: 'x-amz-tagging',
      ArgumentValue: text,
    })
  }
}
