import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { BadSettings } from './load.ts'

/** Classes that S3 knows mean what they mean there. */
const name = z
  .string()
  .regex(/^[A-Z][A-Z0-9_-]{0,63}$/, 'expected capitals, digits, - and _')
  .refine((text) => !ownClasses.has(text), 'is a storage class of S3')

const ownClasses: ReadonlySet<string> = new Set([
  ...['STANDARD', 'REDUCED_REDUNDANCY', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING'],
  ...['GLACIER', 'GLACIER_IR', 'DEEP_ARCHIVE', 'OUTPOSTS', 'SNOW', 'EXPRESS_ONEZONE', 'FSX_OPENZFS', 'FSX_ONTAP'],
])

const template = z.string().refine((text) => !text.replaceAll('{bucket}', '').includes('{'), 'knows {bucket} only')

const entry = z.strictObject({
  endpoint: z.url({ protocol: /^https?$/ }),
  region: z.string().min(1).default('us-east-1'),
  accessKey: z.string().min(1),
  secretKey: z.string().min(1),
  bucket: template.min(1),
  prefix: template.max(512).optional(),
  storageClass: z.string().min(1).default('STANDARD'),
  forcePathStyle: z.boolean().default(true),
  retainHead: z.boolean().default(true),
  hideSize: z.boolean().default(false),
})

const File = z.record(name, entry)

export type TierSettings = Readonly<z.infer<typeof entry>>

/** Storage classes at other endpoints, by name, from a file that only the store's user should be able to read. */
export function loadTiers(path: string | undefined): ReadonlyMap<string, TierSettings> {
  if (path === undefined) return new Map()
  const found = File.safeParse(parsed(path))
  if (found.data !== undefined) return new Map(Object.entries(found.data))
  // What stands there is not told: a secret may be among it.
  const bad = found.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new BadSettings(`bad settings in ${path}: ${bad.join('; ')}`)
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const why = error instanceof SyntaxError ? 'is not JSON' : 'cannot be read'
    throw new BadSettings(`bad settings: --tiers / MERIDIAN_TIERS: ${path} ${why}`)
  }
}
