import { rm, writeFile } from 'node:fs/promises'
import { HeadObjectCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { run } from '#compat/commands.ts'
import { type Client, check, checkPresigned, type Day, inside, Program, same } from '#compat/day.ts'
import { compareFiles, compareTrees, editTree, readPiece, size } from '#compat/files.ts'
import { destroyBucket, openSdk } from '#compat/sdk.ts'
import { systemTool } from '#compat/tools.ts'

export const rclone: Client = {
  name: 'rclone',
  async find() {
    const command = await systemTool('rclone')
    if (command === undefined) return undefined
    return {
      version: async () => (await run(command, ['--version'])).split('\n')[0] ?? '',
      work: (day) => new RcloneDay(day, command).work(),
    }
  },
}

const bucket = 'meridian:rclone-day'
const other = 'meridian:rclone-day-other'
const versioned = 'rclone-day-versions'

class RcloneDay {
  readonly #day: Day
  readonly #rclone: Program

  constructor(day: Day, command: string) {
    const { endpoint, region, accessKey, secretKey } = day.site
    this.#day = day
    this.#rclone = new Program(day, command, ['--config', '/dev/null', '--retries', '1', '--low-level-retries', '1'], {
      RCLONE_CONFIG_MERIDIAN_TYPE: 's3',
      RCLONE_CONFIG_MERIDIAN_PROVIDER: 'Other',
      RCLONE_CONFIG_MERIDIAN_ENDPOINT: endpoint,
      RCLONE_CONFIG_MERIDIAN_REGION: region,
      RCLONE_CONFIG_MERIDIAN_ACCESS_KEY_ID: accessKey,
      RCLONE_CONFIG_MERIDIAN_SECRET_ACCESS_KEY: secretKey,
    })
  }

  async work(): Promise<void> {
    await this.#sync()
    await this.#bigFile()
    await this.#objects()
    await this.#encryption()
    await this.#versions()
    await this.#cleanUp()
  }

  async #sync(): Promise<void> {
    const { journal, tree } = this.#day
    const down = inside(this.#day, 'down')
    await journal.step('make buckets', async () => {
      await this.#rclone.run('mkdir', bucket)
      await this.#rclone.run('mkdir', other)
      same(await this.#rclone.run('lsf', 'meridian:'), 'rclone-day/\nrclone-day-other/\n', 'the list of buckets')
      return '2'
    })
    await journal.step('sync a tree up', async () => {
      await this.#rclone.run('sync', '--transfers', '16', tree.directory, `${bucket}/tree`)
      return `${tree.files.length} files, ${size(tree.bytes)}`
    })
    await journal.step('check by hashes and by bytes', async () => {
      await this.#rclone.run('check', '--checkers', '16', tree.directory, `${bucket}/tree`)
      await this.#rclone.run(
        'check',
        '--download',
        '--checkers',
        '16',
        `${tree.directory}/awkward`,
        `${bucket}/tree/awkward`,
      )
      const { count, bytes } = JSON.parse(await this.#rclone.run('size', '--json', `${bucket}/tree`))
      same([count, bytes], [tree.files.length, tree.bytes], 'rclone size')
      return `${count} files`
    })
    await journal.step('sync it down and compare', async () => {
      await this.#rclone.run('sync', '--transfers', '16', `${bucket}/tree`, down)
      return compareTrees(tree.directory, down)
    })
    await journal.step('edit, sync both ways and compare', async () => {
      const { changed, removed } = await editTree(tree)
      await this.#rclone.run('sync', '--fast-list', tree.directory, `${bucket}/tree`)
      await this.#rclone.run('sync', '--fast-list', `${bucket}/tree`, down)
      return `${changed.length} changed, ${removed.length} removed; ${await compareTrees(tree.directory, down)}`
    })
    await journal.step('copy and move on the server, compare', async () => {
      const moved = inside(this.#day, 'moved')
      await this.#rclone.run('copy', `${bucket}/tree/awkward`, `${other}/copied`)
      await this.#rclone.run('move', `${other}/copied`, `${other}/moved`)
      await this.#rclone.run('copy', `${other}/moved`, moved)
      same(await this.#rclone.run('lsf', `${other}`), 'moved/\n', 'what the other bucket holds')
      return compareTrees(`${tree.directory}/awkward`, moved)
    })
  }

  async #bigFile(): Promise<void> {
    const { journal, big, bigBytes } = this.#day
    const file = inside(this.#day, 'big-again')
    await journal.step('upload a big file in parts', async () => {
      await this.#rclone.run('copyto', '--s3-chunk-size', '16Mi', big, `${bucket}/big`)
      return size(bigBytes)
    })
    await journal.step('read a range across parts', async () => {
      const from = 16 * 1024 * 1024 - 1000
      const piece = await this.#rclone.run('cat', '--offset', String(from), '--count', '64', `${bucket}/big`)
      const expected = await readPiece(big, from, 64)
      same(piece, expected.toString(), 'the piece')
      return '64 bytes'
    })
    await journal.step('download it in several streams and compare', async () => {
      await this.#rclone.run('copyto', '--multi-thread-streams', '4', `${bucket}/big`, file)
      const compared = await compareFiles(big, file)
      await rm(file)
      return compared
    })
    await journal.step('copy it on the server in parts', async () => {
      await this.#rclone.run(
        'copyto',
        '--s3-copy-cutoff',
        '64Mi',
        '--s3-chunk-size',
        '64Mi',
        `${bucket}/big`,
        `${other}/big`,
      )
      await this.#rclone.run('copyto', `${other}/big`, file)
      const compared = await compareFiles(big, file)
      await rm(file)
      return compared
    })
  }

  async #objects(): Promise<void> {
    const { journal } = this.#day
    const note = inside(this.#day, 'note.txt')
    await writeFile(note, 'a note\n')
    await journal.step('metadata, times, a stream of unknown length', async () => {
      const metadata = ['--metadata', '--metadata-set', 'author=rclone', '--metadata-set', 'cache-control=no-cache']
      await this.#rclone.run('copyto', ...metadata, note, `${bucket}/note.txt`)
      const [entry] = JSON.parse(await this.#rclone.run('lsjson', '--metadata', `${bucket}/note.txt`))
      same([entry.Metadata.author, entry.Metadata['cache-control']], ['rclone', 'no-cache'], 'the metadata')
      await this.#rclone.run('touch', '--timestamp', '2001-02-03T04:05:06', `${bucket}/note.txt`)
      const [touched] = JSON.parse(await this.#rclone.run('lsjson', `${bucket}/note.txt`))
      check(touched.ModTime.startsWith('2001-02-03T04:05:06'), `touch left ${touched.ModTime}`)
      await this.#rclone.feed('by a pipe\n', 'rcat', `${bucket}/piped.txt`)
      same(await this.#rclone.run('cat', `${bucket}/piped.txt`), 'by a pipe\n', 'what was piped')
      return ''
    })
    await journal.step('presigned address', async () => {
      const url = await this.#rclone.run('link', '--expire', '10m', `${bucket}/note.txt`)
      return checkPresigned(url.trim(), Buffer.from('a note\n'))
    })
  }

  /** Its SDK sends customers' keys over TLS only, so what it can ask for here is encryption by the server. */
  async #encryption(): Promise<void> {
    const { journal, tree, big, site } = this.#day
    await journal.step('encrypt by the server: a tree, parts, a key of a KMS', async () => {
      const down = inside(this.#day, 'decrypted')
      const piece = inside(this.#day, 'piece')
      await writeFile(piece, await readPiece(big, 0, 12 * 1024 * 1024))
      const plain = ['--s3-server-side-encryption', 'AES256']
      const parts = ['--s3-upload-cutoff', '5Mi', '--s3-chunk-size', '5Mi']
      await this.#rclone.run('copy', ...plain, `${tree.directory}/awkward`, `${other}/sealed`)
      await this.#rclone.run('copyto', ...plain, ...parts, piece, `${other}/sealed-parts`)
      await this.#rclone.run('copyto', '--s3-server-side-encryption', 'aws:kms', piece, `${other}/sealed-kms`)
      const s3 = openSdk(site)
      const told: (string | undefined)[] = []
      for (const Key of ['sealed-parts', 'sealed-kms']) {
        const head = await s3.send(new HeadObjectCommand({ Bucket: 'rclone-day-other', Key }))
        told.push(head.ServerSideEncryption)
        await this.#rclone.run('copyto', `${other}/${Key}`, `${piece}-again`)
        await compareFiles(piece, `${piece}-again`)
      }
      s3.destroy()
      same(told, ['AES256', 'aws:kms'], 'how the objects say that they are encrypted')
      await this.#rclone.run('copy', `${other}/sealed`, down)
      return compareTrees(`${tree.directory}/awkward`, down)
    })
  }

  /** rclone of Debian 12 cannot switch versions on by itself; it shows and deletes them. */
  async #versions(): Promise<void> {
    const { journal, site } = this.#day
    await journal.step('versions: show the old one, go back in time', async () => {
      const s3 = openSdk(site)
      const VersioningConfiguration = { Status: 'Enabled' } as const
      await this.#rclone.run('mkdir', `meridian:${versioned}`)
      await s3.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }))
      await this.#rclone.feed('first', 'rcat', `meridian:${versioned}/kept/kept.txt`)
      const { promise, resolve } = Promise.withResolvers<void>()
      setTimeout(resolve, 1_500)
      await promise
      const between = new Date(Date.now() - 200).toISOString()
      await this.#rclone.feed('second', 'rcat', `meridian:${versioned}/kept/kept.txt`)
      await this.#rclone.run('deletefile', `meridian:${versioned}/kept/kept.txt`)
      same(await this.#rclone.run('lsf', `meridian:${versioned}/kept`), '', 'what is listed after the delete')
      const shown = await this.#rclone.run('lsf', '--s3-versions', `meridian:${versioned}/kept`)
      same(shown.trim().split('\n').length, 2, `the number of versions in ${JSON.stringify(shown)}`)
      // By its directory: asked for the file itself, rclone first looks whether it is there now.
      const stood = await this.#rclone.run('cat', '--s3-version-at', between, `meridian:${versioned}/kept`)
      same(stood, 'first', 'what stood then')
      const gone = await destroyBucket(s3, versioned)
      s3.destroy()
      return `${gone} versions and markers`
    })
  }

  async #cleanUp(): Promise<void> {
    await this.#day.journal.step('delete everything', async () => {
      await this.#rclone.run('cleanup', other)
      await this.#rclone.run('purge', other)
      await this.#rclone.run('delete', bucket)
      same(await this.#rclone.run('lsf', '-R', '--files-only', bucket), '', 'what is left in the bucket')
      await this.#rclone.run('rmdir', bucket)
      same(await this.#rclone.run('lsf', 'meridian:'), '', 'the list of buckets')
      return '3 buckets'
    })
  }
}
