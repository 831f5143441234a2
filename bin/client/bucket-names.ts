export const bucketArgument = {
  type: 'positional',
  description: 'the bucket',
  valueHint: 'name',
  required: true,
} as const

/** `s3://name` too. */
export const bucketOf = (text: string): string => text.replace(/^[st]3:\/\//, '').replace(/\/$/, '')
