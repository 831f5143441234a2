import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A file system of its own that can be filled: ext4 on a loop device where the machine gives one, else in memory. */
export interface SmallDisk {
  readonly folder: string
  readonly kind: 'ext4' | 'tmpfs'
  remove(): Promise<void>
}

/** Why there is none: it takes root, and leave to mount. */
export class NoSmallDisk extends Error {}

export async function makeSmallDisk(bytes: number): Promise<SmallDisk> {
  const parent = await mkdtemp(join(tmpdir(), 'meridian-disk-'))
  const folder = join(parent, 'disk')
  const image = join(parent, 'image')
  await mkdir(folder)
  const remove = async (): Promise<void> => {
    await unmount(folder)
    await rm(parent, { recursive: true, force: true })
  }
  try {
    const file = await open(image, 'w')
    await file.truncate(bytes)
    await file.close()
    await run('mkfs.ext4', ['-q', '-F', '-m', '0', image])
    await run('mount', ['-o', 'loop', image, folder])
    return { folder, kind: 'ext4', remove }
  } catch {
    // No loop device, perhaps; a file system in memory fills up alike.
  }
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
    return { folder, kind: 'tmpfs', remove }
  } catch (error) {
    await rm(parent, { recursive: true, force: true })
    throw new NoSmallDisk('this machine lets us mount neither a loop device nor a tmpfs', { cause: error })
  }
}

async function unmount(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run('umount', [folder])
      return
    } catch (error) {
      if (attempt === 40) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
