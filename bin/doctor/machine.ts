import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive } from '#src/blobs/claim.ts'
import { realFiles } from '#src/blobs/files.ts'
import { beingEmptied } from '#src/blobs/volume.ts'
import type { Config } from '#src/config/load.ts'
import { DataDirectory } from '#src/data-directory.ts'
import { LocalKeys } from '#src/encryption/local-keys.ts'
import type { OpenMaintenance } from '#src/open/beside.ts'
import { listVolumes } from '#src/service/volume-list.ts'
import { realWorld } from '#src/world.ts'
import { type Finding, fail, ok, reasonOf, size, warn } from './finding.ts'

const nodeLeast = 24
/** As many as a process may have connections, and files for what they read. */
const filesPerConnection = 2

export function versionFindings(version: string): readonly Finding[] {
  const major = Number(/^v(\d+)/.exec(process.version)?.[1])
  const says = `meridian ${version} on Node ${process.version}, ${process.platform} ${process.arch}`
  return [
    major >= nodeLeast
      ? ok('version', says)
      : fail('version', says, `Meridian needs Node ${nodeLeast} or later: run it by \`npx meridian\``),
  ]
}

/** Of this machine, for a process. */
export function limitFindings({ connectionsMax }: Config): readonly Finding[] {
  const file = '/proc/self/limits'
  if (!existsSync(file)) return []
  const files = /^Max open files\s+(\S+)/m.exec(readFileSync(file, 'utf8'))?.[1] ?? ''
  const wanted = connectionsMax * filesPerConnection
  const says = `${files} open files a process`
  if (files === 'unlimited' || Number(files) >= wanted) return [ok('limits', says)]
  return [warn('limits', says, `raise it to ${wanted} (ulimit -n, LimitNOFILE), or lower --connections-max`)]
}

export async function directoryFindings({ data }: Config): Promise<readonly Finding[]> {
  const { claims } = new DataDirectory(data)
  const names = existsSync(claims) ? await realFiles.list(claims) : []
  const alive = await Promise.all(
    names.filter((each) => each.endsWith('.socket')).map((each) => isAlive(claims, each.slice(0, -'.socket'.length))),
  )
  return [ok('directory', `${data}: ${alive.includes(true) ? 'a server runs on it' : 'no server runs on it'}`)]
}

export async function volumeFindings({ foundation, maintenance }: OpenMaintenance): Promise<readonly Finding[]> {
  const volumes = await listVolumes(foundation, maintenance)
  return volumes.map(({ path, room, bytes, retired, problem }) => {
    const says = `${path}: ${size(bytes)} used, room for ${size(room)}`
    if (problem !== undefined) return fail('volume', `${path}: ${problem}`, 'look at the disk (dmesg, SMART)')
    if (retired === beingEmptied) {
      return warn(
        'volume',
        `${path} is being emptied`,
        'take it out once `meridian volumes drain` says that it is empty',
      )
    }
    if (retired !== undefined) {
      return fail('volume', `${path} is retired: ${retired}`, 'look at the disk, then `meridian volumes check`')
    }
    if (room <= 0) return fail('volume', says, 'delete, add a volume, or give the disk room: it takes no writes')
    return ok('volume', says)
  })
}

/** The file system that embedded metadata is on. */
export async function metadataDiskFindings({ data, metadata }: Config): Promise<readonly Finding[]> {
  if (metadata !== 'lmdb') return []
  const path = new DataDirectory(data).metadata
  const { free, total } = await realFiles.space(path)
  const says = `${path}: ${size(free)} of ${size(total)} free, ${size(statSync(join(path, 'data.mdb')).size)} used`
  if (free > total * 0.05) return [ok('metadata disk', says)]
  return [warn('metadata disk', says, 'make room: below --reserve only deletions go on')]
}

export function keyFindings(config: Config): readonly Finding[] {
  const about = 'encryption keys'
  const path = config.keyFile ?? new DataDirectory(config.data).keyFile
  if (!existsSync(path)) {
    const todo =
      'give the same --key-file as to `meridian serve`; if that is where it was, bring it back from a copy now'
    return [fail(about, `there is no key file at ${path}`, todo)]
  }
  try {
    const names = LocalKeys.existing(path, realWorld).managedNames()
    const says = `${path}: ${names.length} keys that requests may name`
    const isPrivate = (statSync(path).mode & 0o077) === 0
    return [isPrivate ? ok(about, says) : warn(about, `${says}; others may read it`, `chmod 600 ${path}`)]
  } catch (error) {
    return [fail(about, reasonOf(error), 'bring back the file from a copy: what it encrypted cannot be read without')]
  }
}
