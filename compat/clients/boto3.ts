import { join } from 'node:path'
import { run } from '#compat/commands.ts'
import { awsEnvironment, type Client, type Day, Program, type Tool } from '#compat/day.ts'
import { pythonTool } from '#compat/tools.ts'

const script = join(import.meta.dirname, 'boto3_day.py')

export const boto3: Client = {
  name: 'boto3',
  async find(): Promise<Tool> {
    const python = await pythonTool('boto3', 'python')
    return {
      version: async () => (await run(python, ['-c', 'import boto3; print("boto3", boto3.__version__)'])).trim(),
      work: (day) => work(day, python),
    }
  },
}

/** The day itself is Python's; its lines become ours. */
async function work(day: Day, python: string): Promise<void> {
  const program = new Program(day, python, ['-W', 'ignore', script], awsEnvironment(day.site))
  const { code, stdout, stderr } = await program.attempt(day.site.endpoint, day.tree.directory, day.big, day.work)
  for (const line of stdout.trimEnd().split('\n')) {
    if (line.startsWith('ok ')) day.journal.steps += 1
    day.journal.say(line)
  }
  if (code !== 0) throw new Error(`boto3_day.py ended with ${code}\n${stderr.slice(-4_000)}`)
}
