import { readFile, rm, writeFile } from 'node:fs/promises'
import { run } from '#compat/commands.ts'
import { type Client, check, checkPresigned, type Day, inside, Program, plain, same } from '#compat/day.ts'
import { compareFiles, compareTrees, editTree, readPiece, size } from '#compat/files.ts'
import { pythonTool, systemTool } from '#compat/tools.ts'

export const s3cmd: Client = {
  name: 's3cmd',
  async find() {
    const command = (await systemTool('s3cmd')) ?? (await pythonTool('s3cmd', 's3cmd'))
    return {
      version: async () => (await run(command, ['--version'])).trim(),
      work: (day) => new S3cmdDay(day, command).work(),
    }
  },
}

const bucket = 's3://s3cmd-day'
const other = 's3://s3cmd-day-other'

class S3cmdDay {
  readonly #day: Day
  readonly #s3cmd: Program

  constructor(day: Day, command: string) {
    const host = new URL(day.site.endpoint).host
    const settings = inside(day, 's3cfg')
    this.#day = day
    // A host without %(bucket)s makes it use paths; the file is empty, so that only what stands here is set.
    const how = ['--config', settings, '--no-ssl', '--host', host, '--host-bucket', host, '--no-progress']
    const who = ['--access_key', day.site.accessKey, '--secret_key', day.site.secretKey, '--region', day.site.region]
    this.#s3cmd = new Program(day, command, [...how, ...who], {})
  }

  async work(): Promise<void> {
    await writeFile(inside(this.#day, 's3cfg'), '[default]\n')
    await this.#sync()
    await this.#bigFile()
    await this.#objects()
    await this.#encryption()
    await this.#cleanUp()
  }

  async #sync(): Promise<void> {
    const { journal, tree } = this.#day
    const down = inside(this.#day, 'down')
    await journal.step('make and list buckets', async () => {
      await this.#s3cmd.run('mb', bucket, other)
      const listed = await this.#s3cmd.run('ls')
      check(listed.includes(`${bucket}\n`) && listed.includes(`${other}\n`), `s3cmd ls shows\n${listed}`)
      check((await this.#s3cmd.run('info', bucket)).includes('Location:'), 's3cmd info does not tell the location')
      await this.#s3cmd.refused(/NoSuchBucket|does not exist/, 'ls', 's3://s3cmd-day-that-never-was')
      return '2'
    })
    await journal.step('sync a tree up', async () => {
      await this.#s3cmd.run('sync', '--quiet', `${tree.directory}/`, `${bucket}/tree/`)
      return `${tree.files.length} files, ${size(tree.bytes)}`
    })
    await journal.step('list and measure it', async () => {
      const listed = (await this.#s3cmd.run('ls', '--recursive', `${bucket}/tree/`)).trim().split('\n')
      same(listed.length, tree.files.length, 'the number of lines of s3cmd ls')
      const [bytes] = (await this.#s3cmd.run('du', `${bucket}/tree/`)).trim().split(/\s+/)
      same(Number(bytes), tree.bytes, 's3cmd du')
      return `${listed.length} objects`
    })
    await journal.step('sync it down and compare', async () => {
      await this.#s3cmd.run('sync', '--quiet', `${bucket}/tree/`, `${down}/`)
      return compareTrees(tree.directory, down)
    })
    await journal.step('edit, sync --delete-removed both ways and compare', async () => {
      const { changed, removed } = await editTree(tree)
      await this.#s3cmd.run('sync', '--quiet', '--delete-removed', `${tree.directory}/`, `${bucket}/tree/`)
      await this.#s3cmd.run('sync', '--quiet', '--delete-removed', `${bucket}/tree/`, `${down}/`)
      return `${changed.length} changed, ${removed.length} removed; ${await compareTrees(tree.directory, down)}`
    })
    await journal.step('copy between buckets on the server, compare', async () => {
      const copied = inside(this.#day, 'copied')
      await this.#s3cmd.run('cp', '--quiet', '--recursive', `${bucket}/tree/awkward/`, `${other}/awkward/`)
      await this.#s3cmd.run('sync', '--quiet', `${other}/awkward/`, `${copied}/`)
      return compareTrees(`${tree.directory}/awkward`, copied)
    })
  }

  async #bigFile(): Promise<void> {
    const { journal, big, bigBytes } = this.#day
    const file = inside(this.#day, 'big-again')
    await journal.step('upload a big file in parts', async () => {
      await this.#s3cmd.run('put', '--multipart-chunk-size-mb', '64', big, `${bucket}/big`)
      return size(bigBytes)
    })
    await journal.step('take up a download that stopped, and compare', async () => {
      const begun = await this.#begin(file)
      await this.#s3cmd.run('get', '--continue', `${bucket}/big`, file)
      const compared = await compareFiles(big, file)
      await rm(file)
      return `${compared}, ${size(begun)} of it before`
    })
  }

  /** Leaves the first part of the big file behind, as a broken download would. */
  async #begin(file: string): Promise<number> {
    const { createReadStream, createWriteStream } = await import('node:fs')
    const { pipeline } = await import('node:stream/promises')
    const end = Math.floor(this.#day.bigBytes / 3)
    await pipeline(createReadStream(this.#day.big, { end: end - 1 }), createWriteStream(file))
    return end
  }

  async #objects(): Promise<void> {
    const { journal, site } = this.#day
    const note = inside(this.#day, 'note.txt')
    const got = inside(this.#day, 'note-again.txt')
    await writeFile(note, 'a note\n')
    await journal.step('metadata stays with an object and is changed in place', async () => {
      const headers = ['--mime-type', 'text/plain', '--add-header', 'x-amz-meta-author:s3cmd']
      await this.#s3cmd.run('put', ...headers, note, `${bucket}/notes/a note.txt`)
      await this.#s3cmd.run('modify', '--add-header', 'Cache-Control:max-age=60', `${bucket}/notes/a note.txt`)
      const info = await this.#s3cmd.run('info', `${bucket}/notes/a note.txt`)
      check(/MIME type:\s+text\/plain/.test(info), `s3cmd info shows\n${info}`)
      check(/x-amz-meta-author:\s+s3cmd/.test(info), `s3cmd info shows\n${info}`)
      return ''
    })
    await journal.step('copy, move, get', async () => {
      await this.#s3cmd.run('cp', `${bucket}/notes/a note.txt`, `${other}/copy.txt`)
      await this.#s3cmd.run('mv', `${other}/copy.txt`, `${other}/moved.txt`)
      await this.#s3cmd.run('get', `${other}/moved.txt`, got)
      same(await readFile(got, 'utf8'), 'a note\n', 'what was moved')
      await this.#s3cmd.refused(/404|NoSuchKey|does not exist/, 'get', '--force', `${other}/copy.txt`, got)
      return ''
    })
    await journal.step('an ACL opens an object to everyone, and closes it', async () => {
      const address = `${site.endpoint}/s3cmd-day-other/moved.txt`
      same((await plain(address)).status, 403, 'the status before')
      await this.#s3cmd.run('setacl', '--acl-public', `${other}/moved.txt`)
      same((await plain(address)).body.toString(), 'a note\n', 'what everyone reads')
      await this.#s3cmd.run('setacl', '--acl-private', `${other}/moved.txt`)
      same((await plain(address)).status, 403, 'the status after')
      return ''
    })
    await journal.step('presigned address', async () => {
      const url = await this.#s3cmd.run('signurl', `${bucket}/notes/a note.txt`, '+600')
      return checkPresigned(url.trim(), Buffer.from('a note\n'))
    })
    await journal.step('the same with signatures of version 2', async () => {
      await this.#s3cmd.run('--signature-v2', 'put', note, `${bucket}/notes/v2.txt`)
      await this.#s3cmd.run('--signature-v2', 'get', '--force', `${bucket}/notes/v2.txt`, got)
      same(await readFile(got, 'utf8'), 'a note\n', 'what came back')
      return ''
    })
  }

  async #encryption(): Promise<void> {
    await this.#day.journal.step('encrypt by the server: an object, parts', async () => {
      const piece = inside(this.#day, 'piece')
      const got = inside(this.#day, 'piece-again')
      await writeFile(piece, await readPiece(this.#day.big, 0, 12 * 1024 * 1024))
      for (const [name, how] of [
        ['whole', ['--disable-multipart']],
        ['parts', ['--multipart-chunk-size-mb', '5']],
      ] as const) {
        await this.#s3cmd.run('put', '--server-side-encryption', ...how, piece, `${other}/sealed-${name}`)
        const info = await this.#s3cmd.run('info', `${other}/sealed-${name}`)
        check(/SSE:\s+AES256/.test(info), `s3cmd info shows\n${info}`)
        await this.#s3cmd.run('get', '--force', `${other}/sealed-${name}`, got)
        await compareFiles(piece, got)
      }
      return '2 objects'
    })
  }

  async #cleanUp(): Promise<void> {
    await this.#day.journal.step('delete everything', async () => {
      await this.#s3cmd.refused(/BucketNotEmpty|not empty/, 'rb', bucket)
      for (const name of [bucket, other]) {
        await this.#s3cmd.run('del', '--quiet', '--recursive', '--force', name)
        await this.#s3cmd.run('rb', name)
      }
      same(await this.#s3cmd.run('ls'), '', 'the list of buckets')
      return '2 buckets'
    })
  }
}
