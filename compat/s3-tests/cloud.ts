import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { person } from '#compat/people.ts'
import { type Server, startServer } from '#compat/server.ts'

/** A second Meridian, which is the other endpoint of the suite's cloud tiers. */

export interface CloudSettings {
  readonly endpoint: string
  /** As `--tiers` wants it. */
  readonly file: string
}

const owner = person('cloud-owner')
const targetPath = 'cloud-bucket'
/** Where all buckets share one there, and where each has its own; the plug-in tells the tests of the latter so. */
const classes = { shared: 'CLOUDTIER', perBucket: 'CLOUDTIER_PER_BUCKET' } as const
const perBucket = 'tier-{bucket}'

export async function startCloud(home: string, log: string): Promise<CloudSettings & AsyncDisposable> {
  // Whatever the metadata of the server under test is in: this one has nothing to do with it.
  const environment = { MERIDIAN_METADATA: 'lmdb' }
  const server: Server = await startServer({ owner, workers: 1, log, environment })
  const { endpoint } = server.site
  const file = join(home, 'tiers.json')
  const { accessKey, secretKey } = owner
  // As Ceph tells of objects that are not here.
  const tier = { endpoint, accessKey, secretKey, retainHead: true, hideSize: true }
  const tiers = {
    [classes.shared]: { ...tier, bucket: targetPath },
    [classes.perBucket]: { ...tier, bucket: perBucket },
  }
  await writeFile(file, JSON.stringify(tiers), { mode: 0o600 })
  return { endpoint, file, [Symbol.asyncDispose]: () => server.stop() }
}

export function cloudSection({ endpoint }: CloudSettings): readonly string[] {
  const { hostname, port } = new URL(endpoint)
  return [
    ...['[s3 cloud]', `host = ${hostname}`, `port = ${port}`, 'is_secure = False'],
    ...[`access_key = ${owner.accessKey}`, `secret_key = ${owner.secretKey}`],
    ...[`cloud_storage_class = ${classes.shared}`, 'retain_head_object = true', 'allow_read_through = false'],
    ...[`target_path = ${targetPath}`, 'target_storage_class = STANDARD', 'storage_class = GLACIER'],
    // Not the suite's own: which class its tests of one bucket each are to use.
    ...[`per_bucket_storage_class = ${classes.perBucket}`],
    `target_by_bucket_prefix = ${perBucket.replace('{bucket}', '$' + '{bucket}')}`,
  ]
}
