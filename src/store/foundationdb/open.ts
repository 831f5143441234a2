import { accessSync, constants } from 'node:fs'
import type { World } from '#src/world.ts'
import { Client, type ClientOptions } from './client.ts'
import { FoundationStore } from './foundation-store.ts'
import { FdbError, FoundationDbUnusable, startClient, type TlsFiles } from './native.ts'

export interface FoundationDbOptions extends ClientOptions {
  readonly world: World
  readonly tls?: TlsFiles
  /**
   * Whose store it is. The first to come has it; any other is refused, and so is one that had it before (`isKnown`) where nobody does: then it
   * is not the same cluster, or not the same prefix. One that is known, or `mayShare`, is let in beside the first: whether it is one of
   * those that share the store is for who opens it to find out there. Absent: nobody's.
   */
  readonly owner?: { readonly id: string; readonly isKnown: boolean; readonly mayShare?: boolean }
}

interface About {
  readonly format: number
  readonly owner?: string
}

/** Of the layout below the prefix: the checksums of values, the marks. */
const format = 1

/** Opens the store below a prefix of a cluster, after a look at it. Rejects with FoundationDbUnusable. */
export async function openFoundationStore(options: FoundationDbOptions): Promise<FoundationStore> {
  const { clusterFile, world, tls = {} } = options
  try {
    accessSync(clusterFile, constants.R_OK)
  } catch (cause) {
    throw new FoundationDbUnusable(`the cluster file ${clusterFile} cannot be read`, { cause })
  }
  const client = new Client(startClient(tls), options)
  try {
    const owner = await introduce(client, options)
    return new FoundationStore(world, client, owner === options.owner?.id)
  } catch (error) {
    client.close()
    throw error
  }
}

/** Gives who came first. */
async function introduce(client: Client, options: FoundationDbOptions): Promise<string | undefined> {
  const native = client.transaction()
  for (;;) {
    try {
      const found = await native.get(client.aboutKey, false)
      const { about, isNew } = meet(found ?? undefined, options)
      if (!isNew) return about.owner
      native.set(client.aboutKey, Buffer.from(JSON.stringify(about)))
      await native.commit()
      return about.owner
    } catch (error) {
      if (!(error instanceof FdbError)) throw error
      // Committed or not: to say the same again does no harm.
      await native.onError(error.code).catch((cause: unknown) => {
        const seconds = options.timeout / 1000
        const hint = 'is it up and configured, and libfdb_c of its version?'
        throw new FoundationDbUnusable(
          `the cluster of ${options.clusterFile} gave no answer in ${seconds} s: ${hint} (${error.message})`,
          { cause },
        )
      })
      client.ready(native)
    }
  }
}

/** What is written down, or is to be. */
function meet(
  found: Buffer | undefined,
  { prefix, owner }: FoundationDbOptions,
): { readonly about: About; readonly isNew: boolean } {
  const name = JSON.stringify(prefix)
  const about: unknown = found === undefined ? undefined : JSON.parse(found.toString())
  if (about === undefined) {
    if (owner?.isKnown === true) {
      throw new FoundationDbUnusable(
        `the cluster has nothing under the prefix ${name}, and the data directory's metadata was there: is it the right cluster and prefix?`,
      )
    }
    return { about: { format, ...(owner !== undefined && { owner: owner.id }) }, isNew: true }
  }
  if (!isAbout(about) || about.format !== format) {
    throw new FoundationDbUnusable(
      `the metadata under the prefix ${name} has an unknown format: made by a newer version?`,
    )
  }
  if (owner === undefined || about.owner === owner.id) return { about, isNew: false }
  if (about.owner === undefined && !owner.isKnown) return { about: { ...about, owner: owner.id }, isNew: true }
  if (about.owner !== undefined && (owner.isKnown || owner.mayShare === true)) return { about, isNew: false }
  throw new FoundationDbUnusable(
    `the metadata under the prefix ${name} belongs to another data directory: give each its own --fdb-prefix, or all nodes of a region the cluster's secret`,
  )
}

function isAbout(value: unknown): value is About {
  return typeof value === 'object' && value !== null && 'format' in value
}
