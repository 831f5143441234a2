import { answerOf } from '#gateway/errors.ts'
import type { Method, S3Response } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import {
  encodePath,
  encodeStrange,
  type Origin,
  type PagesWebsite,
  pageKey,
  type RoutingRule,
  redirectAllLocation,
  redirectLocation,
  ruleFor,
} from '#src/model/website.ts'
import { errorHeaders, headersOf } from './error-page.ts'

/**
 * The website endpoint: pages for browsers, out of a bucket.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html
 *
 * E1  whoever asks is nobody: what policies and ACLs do not give to everyone is not shown, whatever the request is signed with.
 * E2  nothing is changed here, whatever the method.
 */
export interface PageRequest {
  readonly bucket: Bucket
  /** Of the path; empty: the root. */
  readonly key: string
  readonly method: Method
  readonly origin: Origin
}

/** Reads an object as nobody (E1); `asked`: with the request's own range and conditions. Throws the Faults of GetObject. */
export type ReadPage = (key: string, method: 'GET' | 'HEAD', asked: boolean) => Promise<S3Response>

export async function servePage(request: PageRequest, read: ReadPage): Promise<S3Response> {
  const { bucket, key, method, origin } = request
  const { website } = bucket
  if (website === undefined) throw new Fault('NoSuchWebsiteConfiguration', { BucketName: bucket.name })
  if (method !== 'GET' && method !== 'HEAD') {
    throw new Fault('MethodNotAllowed', { Method: method, ResourceType: 'OBJECT', allow: 'GET, HEAD' })
  }
  if (website.kind === 'redirecting') return redirected(301, redirectAllLocation(website, key, origin))
  const rule = ruleFor(website, key, undefined)
  if (rule !== undefined) return byRule(rule, request)
  try {
    return await followed(await read(pageKey(website, key), method, true))
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    return await instead(thrown, { ...request, website, method }, read)
  }
}

const redirected = (status: number, location: string): S3Response => ({ status, headers: { location } })

const byRule = (rule: RoutingRule, { key, origin }: PageRequest): S3Response =>
  redirected(rule.redirect.status ?? 301, redirectLocation(rule, key, origin))

const redirectHeader = 'x-amz-website-redirect-location'

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html */
async function followed(response: S3Response): Promise<S3Response> {
  const location = response.headers?.[redirectHeader]
  if (location === undefined) return response
  const { body } = response
  // A body that is not sent has its file open.
  if (typeof body === 'object' && Symbol.asyncIterator in body) await body[Symbol.asyncIterator]().return?.()
  return redirected(301, encodeStrange(location))
}

type Failed = PageRequest & { readonly website: PagesWebsite; readonly method: 'GET' | 'HEAD' }

/** What is shown where the page cannot be. */
async function instead(fault: Fault, request: Failed, read: ReadPage): Promise<S3Response> {
  const { website, key, method } = request
  const { status } = answerOf(fault.code)
  if (status === 304) throw fault
  if (await isFolder(fault, request, read)) {
    const headers = { location: `/${encodePath(key)}/`, ...errorHeaders('Found', 'Resource Found') }
    return { status: 302, headers }
  }
  const rule = ruleFor(website, key, status)
  if (rule !== undefined) return byRule(rule, request)
  if (website.error === undefined || status >= 500) throw fault
  try {
    const page = await followed(await read(website.error, method, false))
    if (page.status !== 200) return page
    return { ...page, status, headers: { ...page.headers, ...headersOf(fault) } }
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    throw new Fault(fault.code, fault.details, { cause: thrown })
  }
}

/** A path without its last slash; who may not list the bucket is told AccessDenied of what is not there. */
async function isFolder({ code }: Fault, { website, key }: Failed, read: ReadPage): Promise<boolean> {
  if (key === '' || key.endsWith('/') || (code !== 'NoSuchKey' && code !== 'AccessDenied')) return false
  try {
    await read(pageKey(website, `${key}/`), 'HEAD', false)
    return true
  } catch (thrown) {
    if (thrown instanceof Fault) return false
    throw thrown
  }
}
