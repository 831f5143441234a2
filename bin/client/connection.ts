import { S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { encoded, type Signer, signedHeaders } from './signing.ts'

/** What commands need that speak S3 to a server, and no data directory. */
export const connectionFlags = {
  endpoint: {
    type: 'string',
    description: 'where the server is (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL)',
    valueHint: 'url',
  },
  profile: { type: 'string', description: 'of the AWS configuration files (AWS_PROFILE)', valueHint: 'name' },
  region: { type: 'string', description: 'that requests are signed for (AWS_REGION; default auto)', valueHint: 'code' },
  json: { type: 'boolean', description: 'print JSON' },
} as const

export interface ConnectionArgs {
  readonly endpoint?: string | undefined
  readonly profile?: string | undefined
  readonly region?: string | undefined
  readonly json?: boolean | undefined
}

/** What went wrong, in words that say what to do about it. */
export class CannotDo extends Error {}

const connectMilliseconds = 10_000
/** Without a byte. */
const silentMilliseconds = 60_000
/** Sockets of parallel parts, and a few for what is asked meanwhile. */
const socketsMost = 128

function endpointOf({ endpoint }: ConnectionArgs): string | undefined {
  const { AWS_ENDPOINT_URL_S3: own, AWS_ENDPOINT_URL: general } = process.env
  const text = [endpoint, own, general].find((each) => each !== undefined && each !== '')
  if (text !== undefined && !/^https?:\/\/[^/?#\s]+\/?$/.test(text)) {
    throw new CannotDo(`${text} is no endpoint: it looks like http://127.0.0.1:9000`)
  }
  return text?.replace(/\/$/, '')
}

/** Commands whose requests make what regions can be chosen for. */
const makers = new Set(['CopyObjectCommand', 'CreateBucketCommand', 'CreateMultipartUploadCommand', 'PutObjectCommand'])

/** A server that is spoken to as its environment says. */
export class Connection {
  readonly client: S3Client
  readonly endpoint: string | undefined

  constructor(args: ConnectionArgs) {
    this.endpoint = endpointOf(args)
    const region = args.region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION']
    const profile = args.profile ?? process.env['AWS_PROFILE']
    this.client = new S3Client({
      ...(this.endpoint !== undefined && { endpoint: this.endpoint, forcePathStyle: true }),
      // What has an endpoint of its own seldom has regions; AWS itself reads its configuration.
      ...(region !== undefined ? { region } : this.endpoint !== undefined ? { region: 'auto' } : {}),
      ...(profile !== undefined && { profile }),
      requestHandler: {
        connectionTimeout: connectMilliseconds,
        socketTimeout: silentMilliseconds,
        httpAgent: { keepAlive: true, maxSockets: socketsMost },
        httpsAgent: { keepAlive: true, maxSockets: socketsMost },
      },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    })
  }

  /** Where buckets and objects are to be that are made from now on: regions by their codes, with commas between, or a geography. */
  placeIn(regions: string): void {
    this.client.middlewareStack.add(
      (next, context) => (given) => {
        const { headers } = given.request as { headers: Record<string, string> }
        if (makers.has(context.commandName ?? '')) headers['x-tigris-regions'] = regions
        return next(given)
      },
      { step: 'build', name: 'placeIn' },
    )
  }

  async signer(): Promise<Signer> {
    const { accessKeyId, secretAccessKey, sessionToken } = await this.client.config.credentials()
    return { accessKeyId, secretAccessKey, sessionToken, region: await this.client.config.region() }
  }

  /** Of an object, a bucket or, without both, of the server. */
  async url(bucket = '', key = ''): Promise<URL> {
    const path = key.split('/').map(encoded).join('/')
    if (this.endpoint !== undefined) return new URL(`${this.endpoint}/${bucket}${key === '' ? '' : `/${path}`}`)
    const region = await this.client.config.region()
    if (bucket === '') return new URL(`https://s3.${region}.amazonaws.com/`)
    return new URL(`https://${bucket}.s3.${region}.amazonaws.com/${path}`)
  }

  /** Asks what the SDK has no command for: Meridian's own. Gives the answer's text. */
  async ask(
    method: string,
    url: URL,
    { query = {}, body }: { readonly query?: Readonly<Record<string, string>>; readonly body?: string } = {},
  ): Promise<string> {
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const headers = signedHeaders(await this.signer(), { method, url, now: new Date() })
    const { host: _host, ...sent } = headers
    const answer = await fetch(url, { method, headers: sent, ...(body !== undefined && { body }) })
    const text = await answer.text()
    if (answer.ok) return text
    const code = /<Code>([^<]*)<\/Code>/.exec(text)?.[1]
    const message = /<Message>([^<]*)<\/Message>/.exec(text)?.[1]
    throw new CannotDo(advice(code ?? String(answer.status), message ?? answer.statusText, this.endpoint))
  }

  close(): void {
    this.client.destroy()
  }
}

/** Runs with a connection, and says of what goes wrong what can be done. */
export async function connected(args: ConnectionArgs, body: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = new Connection(args)
  try {
    await body(connection)
  } catch (error) {
    throw new CannotDo(explained(error, connection.endpoint), { cause: error })
  } finally {
    connection.close()
  }
}

const hints: Readonly<Record<string, string>> = {
  AccessDenied: 'the key may not do this: ask the owner for a policy that allows it, or use another --profile',
  AuthorizationHeaderMalformed: 'try another --region',
  BucketAlreadyExists: 'somebody else has a bucket of this name: choose another one',
  BucketAlreadyOwnedByYou: 'you have it already',
  BucketNotEmpty: 'delete what is in it first, or use --force',
  CredentialsProviderError: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a --profile',
  InvalidAccessKeyId: 'the server does not know this access key: check AWS_ACCESS_KEY_ID and --endpoint',
  InvalidBucketName: 'a name has 3 to 63 characters of a-z, 0-9, hyphens and dots',
  InvalidLocationConstraint: 'meridian regions list, beside a server, shows the regions there are',
  NoSuchBucket: 'meridian buckets list shows those there are',
  NoSuchKey: 'meridian objects list shows those there are',
  NotFound: 'there is no such object or bucket',
  RequestTimeTooSkewed: "this machine's clock is off: set it",
  SignatureDoesNotMatch: 'the secret does not belong to the access key: check AWS_SECRET_ACCESS_KEY',
}

const unreachable = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ETIMEDOUT', 'ECONNRESET', 'TimeoutError'])

function advice(code: string, message: string, endpoint: string | undefined): string {
  if (unreachable.has(code)) {
    const where = endpoint ?? 'AWS'
    return `${where} does not answer (${code}): is the server running, and is --endpoint right?`
  }
  const hint = hints[code]
  return hint === undefined ? `${code}: ${message}` : `${code}: ${message.replace(/\.$/, '')}; ${hint}`
}

export function explained(error: unknown, endpoint: string | undefined): string {
  if (error instanceof CannotDo) return error.message
  if (error instanceof S3ServiceException) return advice(error.name, error.message, endpoint)
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? error.cause : error
  const known = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
  if (known === undefined && cause !== error && cause.message !== '') return `${endpoint ?? 'AWS'}: ${cause.message}`
  const code = known ?? error.name
  return code === 'Error' ? error.message : advice(code, error.message, endpoint)
}

/** `s3://bucket/key`, as AWS writes it, and `t3://`, as Tigris does. */
export interface Remote {
  readonly bucket: string
  readonly key: string
}

export function parseRemote(text: string): Remote | undefined {
  const [, bucket = '', key = ''] = /^[st]3:\/\/([^/]+)\/?(.*)$/s.exec(text) ?? []
  return bucket === '' ? undefined : { bucket, key }
}

export function remoteOf(text: string): Remote {
  const remote = parseRemote(text)
  if (remote === undefined) throw new CannotDo(`${text} names nothing on a server: write s3://bucket/key`)
  return remote
}

export const nameOf = ({ bucket, key }: Remote): string => `s3://${bucket}/${key}`
