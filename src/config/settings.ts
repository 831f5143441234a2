import { isIP } from 'node:net'
import * as z from 'zod'

const units: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }

const bytes = z
  .string()
  .regex(/^\d{1,6}(B|KiB|MiB|GiB|TiB)$/, 'expected a size such as 64GiB')
  .transform((text) => Number.parseInt(text, 10) * (units[text.replace(/^\d+/, '')] ?? 1))

const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, 'expected a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max))

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== ''),
)

const isRange = (text: string): boolean => {
  const [, address = '', bits = '0'] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return Number(bits) <= longest
}

const ranges = list.refine((all) => all.every(isRange), 'expected addresses, or ranges such as 10.0.0.0/8')

const flag = z.enum(['true', 'false'], 'expected true or false').transform((text) => text === 'true')

const origin = z.string().regex(/^http:\/\/[^/?#\s@]+$/, 'expected an origin such as http://[fd00::1]:9100')

/** As https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables has them. */
const headers = z.string().transform((text, context) => {
  const found: Record<string, string> = {}
  for (const each of text.split(',').filter((pair) => pair.trim() !== '')) {
    const [, name, value] = /^\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*([\x20-\x7e]*?)\s*$/.exec(each) ?? []
    const decoded = value === undefined ? undefined : decodedOf(value)
    if (name === undefined || decoded === undefined) {
      context.addIssue({ code: 'custom', message: 'expected name=value, separated by commas' })
      return z.NEVER
    }
    found[name.toLowerCase()] = decoded
  }
  return found
})

function decodedOf(value: string): string | undefined {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}

const domain = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i

/**
 * Every setting of `meridian serve`. The name gives the flag (`--log-level`) and the variable (`MERIDIAN_LOG_LEVEL`); a flag
 * goes before its variable. The README's table is printed from here.
 */
export const settings = {
  port: integer(0, 65_535).prefault('9000').describe('TCP port to listen on; 0: any free one'),
  host: z.string().min(1).prefault('127.0.0.1').describe('address to listen on; 0.0.0.0 or :: for all'),
  data: z
    .string()
    .min(1)
    .prefault('./data')
    .describe('directory of metadata and, unless `--volumes` says otherwise, bytes'),
  metadata: z
    .enum(['lmdb', 'foundationdb'])
    .prefault('lmdb')
    .describe('what keeps the metadata: `lmdb`, a file under `--data`, or `foundationdb`, a cluster'),
  fdbClusterFile: z
    .string()
    .min(1)
    .max(1_000)
    .prefault('/etc/foundationdb/fdb.cluster')
    .describe('cluster file of FoundationDB; its client rewrites it when the coordinators move'),
  fdbPrefix: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'expected 1 to 64 printable characters')
    .prefault('meridian')
    .describe("what this store's keys in the cluster begin with; another one is another store"),
  fdbTimeout: integer(1, 300)
    .prefault('15')
    .describe('seconds that a transaction may take with all its retries, before its request is a 503'),
  fdbDatacenter: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'expected 1 to 64 printable characters')
    .optional()
    .describe('datacenter id of this machine, for clusters that have several: the nearest storage server is read'),
  fdbTlsCertificate: z
    .string()
    .min(1)
    .optional()
    .describe('file of the certificate chain for a cluster that speaks TLS'),
  fdbTlsKey: z.string().min(1).optional().describe('file of the private key that belongs to it'),
  fdbTlsAuthority: z.string().min(1).optional().describe('file of the authorities that the cluster is trusted by'),
  fdbTlsPeers: z
    .string()
    .min(1)
    .optional()
    .describe("what the cluster's certificates must say, in FoundationDB's words, such as `Check.Valid=1`"),
  volumes: list
    .prefault('')
    .describe('directories for bytes, one a disk, separated by commas; default: `volumes/0` under `--data`'),
  region: z
    .string()
    .regex(/^[a-z][a-z0-9-]{1,31}$/, 'expected a code such as fra')
    .prefault('loc')
    .describe('code of the region that this node is in: three letters by custom, such as fra'),
  workers: integer(0, 1_024).prefault('0').describe('processes that serve; 0: one a core'),
  domains: list
    .refine((all) => all.every((each) => domain.test(each)), 'expected host names')
    .prefault('')
    .describe(
      'base domains of virtual-hosted buckets (`<bucket>.<domain>`), separated by commas; localhost always is one',
    ),
  websiteDomains: list
    .refine((all) => all.every((each) => domain.test(each)), 'expected host names')
    .prefault('website.localhost')
    .describe("base domains of buckets' websites (`<bucket>.<domain>`), separated by commas"),
  console: flag.prefault('true').describe('whether the web console is at `/-/console/`: see docs/console.md'),
  contentDomains: list
    .refine((all) => all.every((each) => domain.test(each)), 'expected host names')
    .prefault('content.localhost')
    .describe(
      'base domains that show objects to browsers, and nothing else (`<bucket>.<domain>`), separated by commas',
    ),
  tlsPort: integer(0, 65_535)
    .optional()
    .describe('TCP port that speaks TLS, with the certificates of `--tls-certificates`; default: none does'),
  tlsCertificates: z
    .string()
    .min(1)
    .optional()
    .describe('folder of certificates, `<any>.crt` and `<any>.key`; renewed ones count without a restart'),
  acmeChallenges: z
    .string()
    .min(1)
    .optional()
    .describe("folder of an ACME client's challenges, which are shown under buckets' own domains"),
  metricsPort: integer(0, 65_535)
    .optional()
    .describe(
      'TCP port that tells metrics, health and readiness, without S3 keys; 0: any free one; default: none does',
    ),
  metricsHost: z.string().min(1).prefault('127.0.0.1').describe('address of that port; 0.0.0.0 or :: for all'),
  traceEndpoint: z
    .string()
    .regex(/^https?:\/\/[^?#\s@]+$/, 'expected a URL such as http://127.0.0.1:4318')
    .optional()
    .describe(
      'collector of OpenTelemetry that is sent traces, by OTLP over HTTP (also `OTEL_EXPORTER_OTLP_ENDPOINT`): see docs/tracing.md; default: none is',
    ),
  traceRatio: z
    .string()
    .regex(/^\d{1,1}(\.\d{1,6})?$/, 'expected a number from 0 to 1')
    .transform(Number)
    .pipe(z.number().max(1))
    .prefault('1')
    .describe('of all requests, how many are traced at most: 0.01 is one of a hundred'),
  traceService: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'expected 1 to 128 printable characters')
    .prefault('meridian')
    .describe('name of the service in traces (also `OTEL_SERVICE_NAME`)'),
  traceHeaders: headers
    .prefault('')
    .describe(
      'headers for the collector, `name=value` separated by commas (also `OTEL_EXPORTER_OTLP_HEADERS`); from the environment only',
    ),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .prefault('info')
    .describe('least level that is logged, on standard error'),
  accessLog: flag.prefault('false').describe('log a line for each request (level info)'),
  auditLog: z
    .string()
    .min(1)
    .optional()
    .describe('file that a line is added to for each request that changes anything, or is denied; default: none'),
  drainSeconds: integer(0, 3_600).prefault('30').describe('how long a stop waits for requests under way'),
  bucketsMax: integer(1, 1_000_000).prefault('10000').describe('buckets that one account may own'),
  presignedDaysMax: integer(1, 90).prefault('7').describe('longest life of a presigned URL, in days'),
  connectionsMax: integer(1, 1_000_000).prefault('10000').describe('connections that one process has open at most'),
  headerBytesMax: bytes.prefault('16KiB').describe('size of a request line and its headers at most'),
  bodyRateMin: bytes.prefault('1KiB').describe('bytes a second, averaged over 30 s, below which a body is given up'),
  inlineBytesMax: bytes
    .refine((size) => size <= 65_536, 'expected at most 64KiB')
    .prefault('8KiB')
    .describe('objects up to this size lie beside their metadata'),
  reserve: bytes.optional().describe('free space of a volume that uploads leave alone; default: 2 %, at least 1 GiB'),
  scrubDays: integer(0, 365)
    .prefault('7')
    .describe('all bytes are read and verified once in so many days; 0: never by themselves'),
  scrubRate: bytes
    .refine((rate) => rate > 0, 'expected at least 1B')
    .prefault('8MiB')
    .describe('bytes a second of that reading; more where `--scrub-days` asks for more'),
  keyFile: z
    .string()
    .min(1)
    .optional()
    .describe('file of the keys of server-side encryption; default: `encryption/keys.json` under `--data`'),
  customerKeysNeedTls: flag
    .prefault('false')
    .describe("refuse customers' encryption keys (SSE-C) that come over plain HTTP, as AWS does"),
  trustedProxies: ranges
    .prefault('')
    .describe(
      'addresses of proxies, or ranges such as `10.0.0.0/8,fd00::/8`, whose X-Forwarded-For and X-Forwarded-Proto are believed',
    ),
  lifecycleDay: integer(1, 86_400)
    .prefault('86400')
    .describe('length of a day of lifecycle rules, in seconds; shorter ones are for tests'),
  notificationEndpoints: z
    .enum(['public', 'private', 'any'])
    .prefault('public')
    .describe(
      'addresses that notifications may be sent to: `public` ones, those of private networks too (`private`), or `any`, this machine included',
    ),
  usageDays: integer(1, 3_650)
    .prefault('400')
    .describe('for how many days usage is told day by day; after that by months'),
  shadowEndpoints: z
    .enum(['public', 'private', 'any'])
    .prefault('public')
    .describe('addresses at which shadow buckets may be: `public`, `private` too, or `any`, this machine included'),
  issuerEndpoints: z
    .enum(['public', 'private', 'any'])
    .prefault('public')
    .describe(
      'addresses at which issuers of web identities may be asked for their keys: `public`, `private` too, or `any`',
    ),
  notificationHours: z
    .string()
    .regex(/^\d{1,4}(\.\d{1,4})?$/, 'expected a number of hours')
    .transform(Number)
    .prefault('24')
    .describe('how long a notification is tried before it becomes a dead letter, in hours'),
  deadLettersMax: integer(1, 10_000_000)
    .prefault('10000')
    .describe('dead letters of one topic that are kept; for one more, the oldest is forgotten'),
  publicUrl: z
    .string()
    .regex(/^https?:\/\/[^/?#\s]+$/, 'expected a URL without a path')
    .optional()
    .describe('where clients reach this store, as notifications tell it; default: where the topic was made'),
  transitionMinimum: z
    .enum(['all_storage_classes_128K', 'varies_by_storage_class'])
    .prefault('all_storage_classes_128K')
    .describe(
      'objects that are too small for a change of class, where a lifecycle configuration does not say: `all_storage_classes_128K`, `varies_by_storage_class`',
    ),
  tiers: z
    .string()
    .min(1)
    .optional()
    .describe('file of storage classes whose objects lie at other S3 endpoints: see docs/cloud-tiers.md'),
  transitions: z
    .enum(['down', 'any'])
    .prefault('down')
    .describe(
      'where lifecycle rules may lead: `down` the classes, as AWS has it, or to `any` class, STANDARD too (not in a cluster of regions); configurations keep what held when they were put',
    ),
  logRoll: integer(1, 86_400)
    .prefault('300')
    .describe(
      'seconds after which a log of bucket logging is closed and delivered, where its configuration does not say',
    ),
  geography: z
    .string()
    .regex(/^([a-z][a-z0-9-]{1,31})?$/, 'expected a code such as eur')
    .prefault('')
    .describe('code of the geography that the region belongs to, such as eur; regions of one can be named together'),
  clusterSecretFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'file of the secret that all regions of a cluster share; makes this node the first region, or with `--join` another',
    ),
  clusterSecret: z
    .string()
    .min(16)
    .optional()
    .describe('the secret itself, instead of its file; from the environment only'),
  peerPort: integer(1, 65_535).prefault('9100').describe('TCP port that other regions ask this one on'),
  peerHost: z.string().min(1).optional().describe('address to listen on for other regions; default: as `--host`'),
  peerUrl: origin.optional().describe('where other regions reach this one; default: `--peer-host` and `--peer-port`'),
  nodeUrl: origin
    .optional()
    .describe(
      'where the other nodes of this region reach this one, if they share a FoundationDB prefix; default: as `--peer-url`',
    ),
  join: origin
    .optional()
    .describe('the `--peer-url` of the root region: joins its cluster, from an empty data directory'),
  peerDelay: z
    .string()
    .regex(/^([a-z][a-z0-9-]{1,31}=\d{1,5}(,[a-z][a-z0-9-]{1,31}=\d{1,5})*)?$/, 'expected such as iad=90,syd=250')
    .prefault('')
    .describe(
      'milliseconds that a round trip to those regions takes longer, such as `iad=90,syd=250`: plays far regions on one machine',
    ),
  durabilityRegions: integer(1, 16)
    .prefault('1')
    .describe('in how many regions a write has to be, bytes and record, before it is acknowledged'),
  promoteReads: integer(0, 1_000)
    .prefault('3')
    .describe(
      'what is read so often within an hour in a region that does not hold it gets a durable copy there; 0: never',
    ),
  prefetchSiblings: integer(0, 1_000)
    .prefault('16')
    .describe(
      'how many keys behind one that is read here are fetched into the cache from the region that holds them, while several of its prefix are read; 0: none',
    ),
  redis: z
    .string()
    .regex(/^rediss?:\/\/\S+$/, 'expected a URL such as redis://[::1]:6379/0')
    .optional()
    .describe("queues the region's jobs for several nodes, such as `redis://[::1]:6379/0`; default: in the process"),
  cacheBytes: bytes
    .optional()
    .describe(
      'what copies of bytes of other regions may take on all volumes; default: a tenth of what is free at the start',
    ),
  cacheDays: integer(1, 3_650)
    .prefault('7')
    .describe('such copies go after so many days at the latest: so long may bytes of what was deleted lie on a disk'),
  conflictDays: integer(0, 3_650)
    .prefault('7')
    .describe('how long what lost to a write of another region that had not seen it can be had back, in days'),
  authStaleness: z
    .string()
    .regex(/^\d{1,4}(\.\d{1,4})?$/, 'expected a number of hours')
    .transform(Number)
    .prefault('24')
    .describe(
      'how long a region serves without having heard from the root, in hours: so long a deleted key may be good there',
    ),
  flyPort: integer(0, 65_535)
    .optional()
    .describe(
      "TCP port of Fly's provider API and of what flyctl asks, see docs/fly.md; on the root region only; default: none",
    ),
  flyHost: z.string().min(1).optional().describe('address to listen on for those; default: as `--host`'),
  flyUrl: z
    .string()
    .regex(/^https?:\/\/[^/?#\s]+$/, 'expected an origin such as https://fly.example.com')
    .optional()
    .describe('where browsers, flyctl and Fly reach them; default: `--fly-host` and `--fly-port`'),
  flyProviderSecretFile: z
    .string()
    .min(1)
    .optional()
    .describe('file of the secret that Fly signs its requests with; two lines: both are good, to rotate'),
  flyWebhookSecretFile: z
    .string()
    .min(1)
    .optional()
    .describe('file of the secret that what is told to Fly is signed with'),
  flyOauthFile: z
    .string()
    .min(1)
    .optional()
    .describe('file of the id and the secret, a line each, by which Fly knows this store when people sign in'),
  flyApiUrl: z
    .string()
    .regex(/^https?:\/\/[^/?#\s]+$/, 'expected an origin such as https://api.fly.io')
    .optional()
    .describe(
      "Fly's own API, such as `https://api.fly.io`, where people sign in and changes are told; default: this store's own",
    ),
  flySkew: integer(10, 3_600)
    .prefault('300')
    .describe('seconds that the time in a signed request may differ from ours'),
  accessKey: z
    .string()
    .regex(/^[\x21-\x7e]{3,128}$/, 'expected 3 to 128 printable characters')
    .optional()
    .describe("the administrator's access key; default: made at the first start"),
  secretKey: z.string().min(8).max(128).optional().describe('the secret that belongs to it; from the environment only'),
} as const

/** Flags are seen by everybody who may list processes: a secret comes by the environment. */
export const environmentOnly: ReadonlySet<string> = new Set(['accessKey', 'secretKey', 'clusterSecret', 'traceHeaders'])
