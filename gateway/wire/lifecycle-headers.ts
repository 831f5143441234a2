import type { Expiry } from '#src/model/lifecycle.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import { formatHttpDate } from './http-date.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: the id is URL-encoded. */
export function encodeExpiry(expiry: Expiry | undefined, to: Record<string, string>): void {
  if (expiry === undefined) return
  to['x-amz-expiration'] =
    `expiry-date="${formatHttpDate(expiry.at)}", rule-id="${encodeURIComponent(expiry.ruleId.toWellFormed())}"`
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html: only while the bytes come, or are here for a while. */
export function encodeRestore({ restore }: Pick<ObjectVersion, 'restore'>, to: Record<string, string>): void {
  if (restore?.kind === 'ongoing') to['x-amz-restore'] = 'ongoing-request="true"'
  if (restore?.kind !== 'done') return
  to['x-amz-restore'] = `ongoing-request="false", expiry-date="${formatHttpDate(restore.until)}"`
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html */
export function encodeAbort(abort: Expiry | undefined, to: Record<string, string>): void {
  if (abort === undefined) return
  to['x-amz-abort-date'] = formatHttpDate(abort.at)
  to['x-amz-abort-rule-id'] = encodeURIComponent(abort.ruleId.toWellFormed())
}
