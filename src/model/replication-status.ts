/** Of one version. https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html */
export const replicationStatuses = ['PENDING', 'COMPLETED', 'FAILED', 'REPLICA'] as const
export type ReplicationStatus = (typeof replicationStatuses)[number]
