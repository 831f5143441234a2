/** Settings of which a bucket can have many, each under an id. */
export const configurationKinds = ['analytics', 'intelligent-tiering', 'inventory', 'metrics'] as const
export type ConfigurationKind = (typeof configurationKinds)[number]

/** Of each kind, in a bucket: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketMetricsConfiguration.html */
export const configurationsMax = 1_000

/** Letters, digits, and `.`, `-`, `_`; at most 64. */
export const isConfigurationId = (id: string): boolean => /^[A-Za-z0-9._-]{1,64}$/.test(id)
