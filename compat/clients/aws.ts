import { readFile, rm, writeFile } from 'node:fs/promises'
import { run } from '#compat/commands.ts'
import {
  awsEnvironment,
  type Client,
  check,
  checkPresigned,
  type Day,
  inside,
  Program,
  same,
  type Tool,
} from '#compat/day.ts'
import { compareFiles, compareTrees, editTree, readPiece, size } from '#compat/files.ts'
import { pythonTool } from '#compat/tools.ts'
import { workWithIdentities } from './aws-identity.ts'
import { awsSettings } from './aws-settings.ts'
import { awsNotifications } from './aws-sns.ts'

export const aws: Client = {
  name: 'aws',
  async find(): Promise<Tool> {
    const command = await pythonTool('aws', 'aws')
    return {
      version: async () => (await run(command, ['--version'])).trim(),
      work: (day) => new AwsDay(day, command).work(),
    }
  },
}

interface Versions {
  readonly Versions?: readonly { readonly VersionId: string; readonly IsLatest: boolean }[]
  readonly DeleteMarkers?: readonly { readonly VersionId: string }[]
}

const bucket = 'aws-day'
const other = 'aws-day-other'

class AwsDay {
  readonly #day: Day
  readonly #command: string
  readonly #program: Program

  constructor(day: Day, command: string) {
    this.#day = day
    this.#command = command
    this.#program = new Program(day, command, ['--endpoint-url', day.site.endpoint], {
      ...awsEnvironment(day.site),
      AWS_PAGER: '',
    })
  }

  async work(): Promise<void> {
    await this.#buckets()
    await this.#sync()
    await this.#bigFile()
    await this.#objects()
    await this.#versions()
    await this.#tags()
    await workWithIdentities(this.#day, this.#command, other)
    await awsNotifications(this.#day, this.#program, bucket)
    await awsSettings(this.#day, this.#program)
    await this.#cleanUp()
  }

  #s3(...args: string[]): Promise<string> {
    return this.#program.run('s3', ...args)
  }

  #api(...args: string[]): Promise<string> {
    return this.#program.run('s3api', ...args)
  }

  async #json<Answer>(...args: string[]): Promise<Answer> {
    return JSON.parse((await this.#api(...args, '--output', 'json')) || '{}')
  }

  async #buckets(): Promise<void> {
    await this.#day.journal.step('make, look at and list buckets', async () => {
      await this.#s3('mb', `s3://${bucket}`)
      await this.#s3('mb', `s3://${other}`)
      await this.#api('head-bucket', '--bucket', bucket)
      const listed = await this.#s3('ls')
      check(listed.includes(` ${bucket}\n`) && listed.includes(` ${other}\n`), `s3 ls shows\n${listed}`)
      await this.#program.refused(/NoSuchBucket/, 's3', 'ls', 's3://aws-day-that-never-was')
      return '2'
    })
  }

  async #sync(): Promise<void> {
    const { journal, tree, work } = this.#day
    const down = inside(this.#day, 'down')
    await journal.step('sync a tree up', async () => {
      await this.#s3('sync', tree.directory, `s3://${bucket}/tree`, '--only-show-errors')
      return `${tree.files.length} files, ${size(tree.bytes)}`
    })
    await journal.step('sync again finds nothing to do', async () => {
      same(await this.#s3('sync', tree.directory, `s3://${bucket}/tree`), '', 'the second sync')
      return ''
    })
    await journal.step('list it', async () => {
      const listed = await this.#s3('ls', '--recursive', '--summarize', `s3://${bucket}/tree/`)
      const [, objects] = /Total Objects: (\d+)/.exec(listed) ?? []
      const [, bytes] = /Total Size: (\d+)/.exec(listed) ?? []
      same([Number(objects), Number(bytes)], [tree.files.length, tree.bytes], 's3 ls --summarize')
      return `${objects} objects`
    })
    await journal.step('sync it down and compare', async () => {
      await this.#s3('sync', `s3://${bucket}/tree`, down, '--only-show-errors')
      return compareTrees(tree.directory, down)
    })
    await journal.step('edit, sync --delete both ways and compare', async () => {
      const { changed, removed } = await editTree(tree)
      await this.#s3('sync', tree.directory, `s3://${bucket}/tree`, '--delete', '--only-show-errors')
      await this.#s3('sync', `s3://${bucket}/tree`, down, '--delete', '--exact-timestamps', '--only-show-errors')
      return `${changed.length} changed, ${removed.length} removed; ${await compareTrees(tree.directory, down)}`
    })
    await journal.step('copy between buckets on the server', async () => {
      await this.#s3('sync', `s3://${bucket}/tree/awkward`, `s3://${other}/awkward`, '--only-show-errors')
      await this.#s3('sync', `s3://${other}/awkward`, `${work}/awkward`, '--only-show-errors')
      return compareTrees(`${tree.directory}/awkward`, `${work}/awkward`)
    })
  }

  async #bigFile(): Promise<void> {
    const { journal, big, bigBytes } = this.#day
    await journal.step('upload a big file in parts', async () => {
      await this.#s3('cp', big, `s3://${bucket}/big`, '--only-show-errors')
      const head = await this.#json<{ ContentLength: number; ETag: string }>(
        'head-object',
        '--bucket',
        bucket,
        '--key',
        'big',
      )
      same(head.ContentLength, bigBytes, 'its length')
      return `${size(bigBytes)}, ETag ${head.ETag}`
    })
    await journal.step('read a range across parts', async () => {
      const from = 8 * 1024 * 1024 - 1000
      const file = inside(this.#day, 'piece')
      await this.#api('get-object', '--bucket', bucket, '--key', 'big', '--range', `bytes=${from}-${from + 1999}`, file)
      check((await readFile(file)).equals(await readPiece(big, from, 2000)), 'the range holds other bytes')
      return '2000 bytes'
    })
    await journal.step('copy it on the server in parts, download and compare', async () => {
      const file = inside(this.#day, 'big-again')
      await this.#s3('cp', `s3://${bucket}/big`, `s3://${other}/big`, '--only-show-errors')
      await this.#s3('cp', `s3://${other}/big`, file, '--only-show-errors')
      const compared = await compareFiles(big, file)
      await rm(file)
      return compared
    })
    await journal.step('begin an upload, list it, abort it', async () => {
      const at = ['--bucket', bucket, '--key', 'unfinished']
      const { UploadId } = await this.#json<{ UploadId: string }>('create-multipart-upload', ...at)
      await this.#api(
        'upload-part',
        ...at,
        '--upload-id',
        UploadId,
        '--part-number',
        '1',
        '--body',
        inside(this.#day, 'piece'),
      )
      const parts = await this.#json<{ Parts: { Size: number }[] }>('list-parts', ...at, '--upload-id', UploadId)
      same(parts.Parts[0]?.Size, 2000, 'the size of its part')
      const uploads = await this.#json<{ Uploads: unknown[] }>('list-multipart-uploads', '--bucket', bucket)
      same(uploads.Uploads.length, 1, 'the number of uploads')
      await this.#api('abort-multipart-upload', ...at, '--upload-id', UploadId)
      await this.#program.refused(/NoSuchUpload/, 's3api', 'list-parts', ...at, '--upload-id', UploadId)
      return ''
    })
  }

  async #objects(): Promise<void> {
    const { journal } = this.#day
    const file = inside(this.#day, 'note.txt')
    const got = inside(this.#day, 'note-again.txt')
    const at = ['--bucket', bucket, '--key', 'notes/note.txt']
    await writeFile(file, 'a note\n')
    await journal.step('metadata stays with an object and is replaced by a copy', async () => {
      await this.#api(
        ...['put-object', ...at, '--body', file, '--content-type', 'text/plain; charset=utf-8'],
        ...['--cache-control', 'max-age=60', '--metadata', 'author=aws,Purpose=day'],
      )
      const head = await this.#json<Record<string, unknown>>('head-object', ...at)
      same(
        [head['ContentType'], head['CacheControl'], head['Metadata']],
        ['text/plain; charset=utf-8', 'max-age=60', { author: 'aws', purpose: 'day' }],
        'what head-object tells',
      )
      const source = [
        '--copy-source',
        `${bucket}/notes/note.txt`,
        '--metadata-directive',
        'REPLACE',
        '--metadata',
        'author=copy',
      ]
      await this.#api('copy-object', '--bucket', other, '--key', 'copy of note.txt', ...source)
      const copy = await this.#json<Record<string, unknown>>(
        'head-object',
        '--bucket',
        other,
        '--key',
        'copy of note.txt',
      )
      same(copy['Metadata'], { author: 'copy' }, 'the metadata of the copy')
      return ''
    })
    await journal.step('conditional writes and reads', async () => {
      const { ETag } = await this.#json<{ ETag: string }>('head-object', ...at)
      await this.#program.refused(
        /PreconditionFailed/,
        's3api',
        'put-object',
        ...at,
        '--body',
        file,
        '--if-none-match',
        '*',
      )
      await this.#program.refused(/PreconditionFailed/, 's3api', 'get-object', ...at, '--if-match', '"no"', got)
      await this.#program.refused(/304|Not Modified/, 's3api', 'get-object', ...at, '--if-none-match', ETag, got)
      await this.#api('put-object', '--bucket', bucket, '--key', 'notes/new', '--body', file, '--if-none-match', '*')
      return ''
    })
    await journal.step('checksums are kept and returned', async () => {
      for (const algorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256', 'CRC64NVME']) {
        const key = ['--bucket', bucket, '--key', `sums/${algorithm}`]
        const put = await this.#json<Record<string, string>>(
          'put-object',
          ...key,
          '--body',
          file,
          '--checksum-algorithm',
          algorithm,
        )
        const head = await this.#json<Record<string, string>>('head-object', ...key, '--checksum-mode', 'ENABLED')
        check(put[`Checksum${algorithm}`] !== undefined, `no ${algorithm} came back from put-object`)
        same(head[`Checksum${algorithm}`], put[`Checksum${algorithm}`], algorithm)
      }
      return '5 algorithms'
    })
    await journal.step('presigned address', async () => {
      const url = await this.#s3('presign', `s3://${bucket}/notes/note.txt`, '--expires-in', '600')
      return checkPresigned(url.trim(), Buffer.from('a note\n'))
    })
  }

  async #versions(): Promise<void> {
    await this.#day.journal.step('versions: overwrite, delete, restore', async () => {
      const at = ['--bucket', bucket, '--key', 'kept.txt']
      const got = inside(this.#day, 'kept-again.txt')
      await this.#api('put-bucket-versioning', '--bucket', bucket, '--versioning-configuration', 'Status=Enabled')
      const made: string[] = []
      for (const words of ['first', 'second']) {
        const file = inside(this.#day, 'kept.txt')
        await writeFile(file, words)
        made.push((await this.#json<{ VersionId: string }>('put-object', ...at, '--body', file)).VersionId)
      }
      const marker = await this.#json<{ VersionId: string; DeleteMarker: boolean }>('delete-object', ...at)
      same(marker.DeleteMarker, true, 'DeleteMarker')
      await this.#program.refused(/NoSuchKey/, 's3api', 'get-object', ...at, got)
      const listed = await this.#json<Versions>('list-object-versions', '--bucket', bucket, '--prefix', 'kept.txt')
      same(
        listed.Versions?.map((each) => each.VersionId),
        made.toReversed(),
        'the versions, newest first',
      )
      same(
        listed.DeleteMarkers?.map((each) => each.VersionId),
        [marker.VersionId],
        'the delete markers',
      )
      await this.#api('get-object', ...at, '--version-id', made[0] ?? '', got)
      same(await readFile(got, 'utf8'), 'first', 'the first version')
      await this.#api('delete-object', ...at, '--version-id', marker.VersionId)
      await this.#api('get-object', ...at, got)
      same(await readFile(got, 'utf8'), 'second', 'what stands once the marker is gone')
      return `${made.length} versions and a marker`
    })
  }

  async #tags(): Promise<void> {
    await this.#day.journal.step('tags of an object and of a bucket', async () => {
      const tags = [{ Key: 'project', Value: 'meridian + co @ 1/2' }]
      const given = JSON.stringify({ TagSet: tags })
      for (const [what, at] of [
        ['object', ['--bucket', bucket, '--key', 'kept.txt']],
        ['bucket', ['--bucket', bucket]],
      ] as const) {
        await this.#api(`put-${what}-tagging`, ...at, '--tagging', given)
        same((await this.#json<{ TagSet: unknown }>(`get-${what}-tagging`, ...at)).TagSet, tags, `tags of the ${what}`)
        await this.#api(`delete-${what}-tagging`, ...at)
      }
      await this.#program.refused(/NoSuchTagSet/, 's3api', 'get-bucket-tagging', '--bucket', bucket)
      return ''
    })
  }

  async #cleanUp(): Promise<void> {
    await this.#day.journal.step('delete everything', async () => {
      await this.#program.refused(/BucketNotEmpty/, 's3', 'rb', `s3://${bucket}`)
      await this.#s3('rm', '--recursive', `s3://${bucket}`, '--only-show-errors')
      await this.#s3('rb', '--force', `s3://${other}`)
      let gone = 0
      for (;;) {
        const page = await this.#json<Versions>('list-object-versions', '--bucket', bucket, '--no-paginate')
        const objects = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ VersionId, ...rest }) => ({
          Key: (rest as { Key?: string }).Key,
          VersionId,
        }))
        if (objects.length === 0) break
        const request = inside(this.#day, 'delete.json')
        await writeFile(request, JSON.stringify({ Objects: objects, Quiet: true }))
        const { Errors = [] } = await this.#json<{ Errors?: unknown[] }>(
          ...['delete-objects', '--bucket', bucket, '--delete', `file://${request}`],
        )
        same(Errors, [], 'the errors of delete-objects')
        gone += objects.length
      }
      await this.#s3('rb', `s3://${bucket}`)
      same(await this.#s3('ls'), '', 'the list of buckets')
      return `${gone} versions and markers, 2 buckets`
    })
  }
}
