import { integerArgument } from './integer.ts'

const header = 'x-amz-write-offset-bytes'

/** Where an append is to begin; undefined: the request is none. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
export function decodeWriteOffset(headers: Readonly<Record<string, string | undefined>>): number | undefined {
  const text = headers[header]
  return text === undefined ? undefined : integerArgument(header, text, 0, 5 * 2 ** 40)
}
