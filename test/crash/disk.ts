import { execFile } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type FileSystem = 'xfs' | 'ext4'

const imageBytes = 12 * 2 ** 30

/**
 * A file system on a loop device whose power can be cut: a shutdown drops all that was not made durable, as a power failure
 * would, but for the cache of the drive itself.
 */
export class LoopDisk {
  readonly folder: string
  readonly #image: string

  private constructor(folder: string, image: string) {
    this.folder = folder
    this.#image = image
  }

  /** Rejects, saying what is missing, where this machine cannot do it. */
  static async make(parent: string, kind: FileSystem): Promise<LoopDisk> {
    const image = join(parent, `${kind}.image`)
    const folder = join(parent, kind)
    await mkdir(folder, { recursive: true })
    const file = await open(image, 'w')
    await file.truncate(imageBytes)
    await file.close()
    await run(`mkfs.${kind}`, kind === 'xfs' ? ['-q', image] : ['-q', '-F', image])
    const disk = new LoopDisk(folder, image)
    await disk.mount()
    return disk
  }

  async mount(): Promise<void> {
    await run('mount', ['-o', 'loop', this.#image, this.folder])
  }

  async sync(): Promise<void> {
    await run('sync', ['-f', this.folder])
  }

  /** What was not durable is gone, and nothing can be written any more. */
  async cutPower(): Promise<void> {
    await run('xfs_io', ['-x', '-c', 'shutdown', this.folder])
  }

  /** After everything that had files open has ended. */
  async unmount(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await run('umount', [this.folder])
        return
      } catch (error) {
        if (attempt === 40) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  async remove(): Promise<void> {
    await this.unmount().catch(() => undefined)
    await rm(this.#image, { force: true })
  }
}
