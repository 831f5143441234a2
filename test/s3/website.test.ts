import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { type Page, type Visit, visitSite } from '../support/visit.ts'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

const visit = (bucket: string, path: string, options: Visit = {}): Promise<Page> =>
  visitSite(harness().endpoint, bucket, path, options)

const publicRead = (bucket: string, ...actions: string[]): string =>
  JSON.stringify({
    Statement: [
      { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${bucket}/*` },
      ...actions.map((Action) => ({ Effect: 'Allow', Principal: '*', Action, Resource: `arn:aws:s3:::${bucket}` })),
    ],
  })

async function makeSite(
  WebsiteConfiguration: s3.WebsiteConfiguration,
  { isListed = false, isPublic = true }: { readonly isListed?: boolean; readonly isPublic?: boolean } = {},
): Promise<{ readonly Bucket: string; readonly put: (Key: string, Body: string, rest?: object) => Promise<unknown> }> {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  await client.send(new s3.PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }))
  const Policy = publicRead(Bucket, ...(isListed ? ['s3:ListBucket'] : []))
  if (isPublic) await client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy }))
  const put = (Key: string, Body: string, rest: object = {}) =>
    client.send(new s3.PutObjectCommand({ Bucket, Key, Body, ContentType: 'text/html', ...rest }))
  return { Bucket, put }
}

const plain: s3.WebsiteConfiguration = { IndexDocument: { Suffix: 'index.html' }, ErrorDocument: { Key: 'oops.html' } }

test('a configuration is kept as it was put, and goes', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  const get = new s3.GetBucketWebsiteCommand({ Bucket })
  assert.equal(await refusal(client.send(get)), '404 NoSuchWebsiteConfiguration')
  const full: s3.WebsiteConfiguration = {
    ...plain,
    RoutingRules: [
      {
        Condition: { HttpErrorCodeReturnedEquals: '404', KeyPrefixEquals: 'docs/' },
        Redirect: { HostName: 'example.org', Protocol: 'https', ReplaceKeyPrefixWith: 'd/', HttpRedirectCode: '307' },
      },
      { Condition: { KeyPrefixEquals: 'old' }, Redirect: { ReplaceKeyWith: 'new' } },
    ],
  }
  for (const WebsiteConfiguration of [
    full,
    { RedirectAllRequestsTo: { HostName: 'example.org' } },
    { RedirectAllRequestsTo: { HostName: 'example.org', Protocol: 'https' } },
    plain,
  ] satisfies s3.WebsiteConfiguration[]) {
    await client.send(new s3.PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }))
    const { $metadata, ...got } = await client.send(get)
    assert.deepEqual(got, WebsiteConfiguration)
  }
  await client.send(new s3.DeleteBucketWebsiteCommand({ Bucket }))
  assert.equal(await refusal(client.send(get)), '404 NoSuchWebsiteConfiguration')
  await client.send(new s3.DeleteBucketWebsiteCommand({ Bucket }))
})

test('a configuration that makes no website is refused', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  const rule = (Redirect: s3.Redirect, Condition?: s3.Condition): s3.WebsiteConfiguration => ({
    ...plain,
    RoutingRules: [{ Redirect, ...(Condition && { Condition }) }],
  })
  const many = Array.from({ length: 51 }, () => ({ Redirect: { ReplaceKeyWith: 'k' } }))
  for (const [WebsiteConfiguration, code] of [
    [{}, 'InvalidArgument'],
    [{ IndexDocument: { Suffix: '' } }, 'InvalidArgument'],
    [{ IndexDocument: { Suffix: 'a/b' } }, 'InvalidArgument'],
    [{ ...plain, ErrorDocument: { Key: '' } }, 'InvalidArgument'],
    [{ ...plain, RedirectAllRequestsTo: { HostName: 'h' } }, 'InvalidRequest'],
    [{ RedirectAllRequestsTo: { HostName: 'two words' } }, 'InvalidArgument'],
    [rule({ HostName: 'h', Protocol: 'ftp' as s3.Protocol }), 'InvalidRequest'],
    [rule({ ReplaceKeyWith: 'a', ReplaceKeyPrefixWith: 'b' }), 'InvalidRequest'],
    [rule({ HttpRedirectCode: '300' }), 'InvalidRequest'],
    [rule({ HttpRedirectCode: '404' }), 'InvalidRequest'],
    [rule({ ReplaceKeyWith: 'a' }, {}), 'InvalidRequest'],
    [rule({ ReplaceKeyWith: 'a' }, { HttpErrorCodeReturnedEquals: '301' }), 'InvalidRequest'],
    [rule({}), 'MalformedXML'],
    [{ ...plain, RoutingRules: many }, 'InvalidRequest'],
  ] satisfies [s3.WebsiteConfiguration, string][]) {
    const put = client.send(new s3.PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }))
    assert.equal(await refusal(put), `400 ${code}`, JSON.stringify(WebsiteConfiguration))
  }
})

test('E1: pages are shown: the root, folders, ranges, and what the browser has already', async () => {
  const { Bucket, put } = await makeSite(plain)
  await put('index.html', '<p>root</p>', { CacheControl: 'max-age=60' })
  await put('docs/index.html', '<p>docs</p>')
  await put('ünï/a b.html', 'spaced')
  const root = await visit(Bucket, '/')
  assert.deepEqual([root.status, root.text, root.headers['content-type']], [200, '<p>root</p>', 'text/html'])
  assert.equal(root.headers['cache-control'], 'max-age=60')
  assert.equal((await visit(Bucket, '/docs/')).text, '<p>docs</p>')
  assert.equal((await visit(Bucket, '/%C3%BCn%C3%AF/a%20b.html')).text, 'spaced')
  // The query is the page's own affair.
  assert.equal((await visit(Bucket, '/index.html?acl&x=%&versionId=1&partNumber=9')).text, '<p>root</p>')
  const folder = await visit(Bucket, '/docs?x=1')
  assert.deepEqual([folder.status, folder.headers.location], [302, '/docs/'])
  assert.equal(folder.headers['x-amz-error-code'], 'Found')

  const head = await visit(Bucket, '/', { method: 'HEAD' })
  assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '11'])
  const piece = await visit(Bucket, '/', { headers: { range: 'bytes=3-6' } })
  assert.deepEqual([piece.status, piece.text], [206, 'root'])
  const known = await visit(Bucket, '/', { headers: { 'if-none-match': String(root.headers.etag) } })
  assert.deepEqual([known.status, known.text], [304, ''])
})

test('E1: what is not for everyone is not shown, whatever the request is signed with', async () => {
  const { Bucket, put } = await makeSite(plain, { isPublic: false })
  await put('index.html', 'private')
  await put('open.html', 'open', { ACL: 'public-read' })
  assert.equal((await visit(Bucket, '/open.html')).text, 'open')
  const own = 'AWS4-HMAC-SHA256 Credential=ALICEALICEALICEALICE/20260101/us-east-1/s3/aws4_request'
  for (const headers of [{}, { authorization: own }, { authorization: 'Basic YTpi' }]) {
    const { status, text, headers: told } = await visit(Bucket, '/', { headers })
    assert.deepEqual([status, told['x-amz-error-code']], [403, 'AccessDenied'])
    assert.match(text, /<h1>403 Forbidden<\/h1>/)
    assert.match(text, /Attempting to Retrieve a Custom Error Document/)
    assert.doesNotMatch(text, /private/)
  }
})

test('E2: nothing but GET and HEAD', async () => {
  const { client } = harness()
  const { Bucket, put } = await makeSite(plain)
  await put('a', 'a')
  for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
    const { status, headers, text } = await visit(Bucket, '/a', { method, headers: { 'content-length': '0' } })
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], method)
    assert.match(text, /<li>Code: MethodNotAllowed<\/li>/)
  }
  assert.equal((await client.send(new s3.HeadObjectCommand({ Bucket, Key: 'a' }))).ContentLength, 1)
})

test('errors are pages: the bucket’s own, or ours', async () => {
  const { Bucket, put } = await makeSite(plain)
  const bare = await visit(Bucket, '/<b>')
  // Who may not list the bucket is not told what is not there.
  assert.equal(bare.status, 403)
  assert.match(bare.text, /<li>Code: AccessDenied<\/li>/)
  await put('oops.html', 'sorry', { CacheControl: 'no-store' })
  const own = await visit(Bucket, '/none', { headers: { range: 'bytes=0-1', 'if-none-match': '*' } })
  assert.deepEqual([own.status, own.text, own.headers['cache-control']], [403, 'sorry', 'no-store'])
  assert.equal(own.headers['x-amz-error-code'], 'AccessDenied')
  assert.equal((await visit(Bucket, '/none', { method: 'HEAD' })).headers['content-length'], '5')

  const listed = await makeSite({ IndexDocument: { Suffix: 'i' } }, { isListed: true })
  const missing = await visit(listed.Bucket, '/%3Cb%3E')
  assert.equal(missing.status, 404)
  assert.equal(missing.headers['x-amz-error-detail-key'], '<b>')
  assert.match(missing.text, /<h1>404 Not Found<\/h1>/)
  assert.match(missing.text, /<li>Key: &lt;b&gt;<\/li>/)
  assert.match(missing.text, /<li>RequestId: \S+<\/li>\n<li>HostId: \S+<\/li>/)
  assert.equal(missing.headers['content-type'], 'text/html; charset=utf-8')

  const nowhere = await visit('no-such-bucket-anywhere', '/')
  assert.deepEqual([nowhere.status, nowhere.headers['x-amz-error-code']], [404, 'NoSuchBucket'])
  const none = await visit(await harness().makeBucket(), '/')
  assert.deepEqual([none.status, none.headers['x-amz-error-code']], [404, 'NoSuchWebsiteConfiguration'])
  assert.match((await visit(Bucket, '/%ff')).text, /InvalidURI/)
})

test('all requests go where the bucket says', async () => {
  const { Bucket } = await makeSite({ RedirectAllRequestsTo: { HostName: 'www.example.org', Protocol: 'https' } })
  const there = await visit(Bucket, '/a/%C3%BC%20b?x')
  assert.deepEqual([there.status, there.headers.location], [301, 'https://www.example.org/a/%C3%BC%20b'])
  const same = await makeSite({ RedirectAllRequestsTo: { HostName: 'www.example.org' } })
  assert.equal((await visit(same.Bucket, '/')).headers.location, 'http://www.example.org/')
})

test('rules send keys and errors elsewhere, the first that applies', async () => {
  const { Bucket, put } = await makeSite(
    {
      ...plain,
      RoutingRules: [
        {
          Condition: { KeyPrefixEquals: 'app/', HttpErrorCodeReturnedEquals: '404' },
          Redirect: { ReplaceKeyPrefixWith: 'app/#!/', HttpRedirectCode: '302' },
        },
        { Condition: { KeyPrefixEquals: 'docs/' }, Redirect: { ReplaceKeyPrefixWith: 'documents/' } },
        { Condition: { KeyPrefixEquals: 'doc' }, Redirect: { ReplaceKeyWith: 'index.html', Protocol: 'https' } },
        {
          Condition: { HttpErrorCodeReturnedEquals: '404' },
          Redirect: { HostName: 'elsewhere.example.org', HttpRedirectCode: '307' },
        },
      ],
    },
    { isListed: true },
  )
  const { port } = new URL(harness().endpoint)
  const host = `${Bucket}.website.localhost:${port}`
  await put('app/there', 'there')
  await put('docs/a', 'never seen')
  const sent = async (path: string) => {
    const { status, headers } = await visit(Bucket, path)
    return [status, headers.location]
  }
  assert.deepEqual(await sent('/docs/a%20b'), [301, `http://${host}/documents/a%20b`])
  assert.deepEqual(await sent('/document'), [301, `https://${host}/index.html`])
  assert.deepEqual(await sent('/app/deep/link'), [302, `http://${host}/app/#!/deep/link`])
  assert.deepEqual(await sent('/other'), [307, 'http://elsewhere.example.org/other'])
  assert.equal((await visit(Bucket, '/app/there')).text, 'there')
})

test('an object sends elsewhere, and the API tells where', async () => {
  const { client } = harness()
  const { Bucket, put } = await makeSite(plain)
  await put('index.html', 'x'.repeat(300_000), { WebsiteRedirectLocation: '/next page' })
  await put('out', '', { WebsiteRedirectLocation: 'https://example.org/?q=1#f' })
  const next = await visit(Bucket, '/')
  assert.deepEqual([next.status, next.headers.location, next.text], [301, '/next%20page', ''])
  assert.equal((await visit(Bucket, '/out', { method: 'HEAD' })).headers.location, 'https://example.org/?q=1#f')
  const { WebsiteRedirectLocation } = await client.send(new s3.HeadObjectCommand({ Bucket, Key: 'out' }))
  assert.equal(WebsiteRedirectLocation, 'https://example.org/?q=1#f')
  const bad = client.send(new s3.PutObjectCommand({ Bucket, Key: 'bad', WebsiteRedirectLocation: 'ftp://x' }))
  assert.equal(await refusal(bad), '400 InvalidRedirectLocation')
})

test('browsers of other origins are told what the CORS rules say', async () => {
  const { client } = harness()
  const { Bucket, put } = await makeSite(plain)
  await put('index.html', 'x')
  const CORSRules = [{ AllowedMethods: ['GET'], AllowedOrigins: ['https://a.example'] }]
  await client.send(new s3.PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }))
  const { headers } = await visit(Bucket, '/', { headers: { origin: 'https://a.example' } })
  assert.equal(headers['access-control-allow-origin'], 'https://a.example')
})

test('the same bucket under the API’s own host speaks S3', async () => {
  const { Bucket } = await makeSite(plain)
  const { status, text } = await visit(Bucket, '/none', { domain: 'localhost' })
  assert.equal(status, 403)
  assert.match(text, /^<\?xml/)
})
