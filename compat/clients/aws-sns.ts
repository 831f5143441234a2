import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { check, type Day, inside, type Program, same } from '#compat/day.ts'

/** Waits for a POST, at most so long. */
const patienceMs = 20_000

interface Posted {
  readonly Type: string
  readonly SubscribeURL?: string
  readonly Message: string
}

/** `aws sns`, and a bucket that tells a topic, to an endpoint of ours that confirms as one does. */
export async function awsNotifications(day: Day, program: Program, bucket: string): Promise<void> {
  const json = async <Answer>(...args: string[]): Promise<Answer> =>
    JSON.parse((await program.run(...args, '--output', 'json')) || '{}')
  const posted: Posted[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      posted.push(JSON.parse(body))
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const wait = async (wanted: (each: Posted) => boolean): Promise<Posted> => {
    const end = performance.now() + patienceMs
    for (;;) {
      const found = posted.find(wanted)
      if (found !== undefined) return found
      check(performance.now() < end, `nothing of that kind was posted within ${patienceMs / 1000} s`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  try {
    await day.journal.step('make a topic, subscribe to it, confirm', async () => {
      const { TopicArn } = await json<{ TopicArn: string }>('sns', 'create-topic', '--name', 'aws-day')
      const { Topics } = await json<{ Topics: unknown }>('sns', 'list-topics')
      same(Topics, [{ TopicArn }], 'the list of topics')
      const endpoint = `http://127.0.0.1:${port}/`
      const at = ['--topic-arn', TopicArn, '--protocol', 'http', '--notification-endpoint', endpoint]
      await program.run('sns', 'subscribe', ...at)
      const { SubscribeURL } = await wait(({ Type }) => Type === 'SubscriptionConfirmation')
      same((await fetch(String(SubscribeURL))).status, 200, 'the answer to the confirmation')
      const { Attributes } = await json<{ Attributes: Record<string, string> }>(
        ...['sns', 'get-topic-attributes', '--topic-arn', TopicArn],
      )
      same(Attributes['SubscriptionsConfirmed'], '1', 'the number of subscriptions')
      await program.run('sns', 'publish', '--topic-arn', TopicArn, '--message', 'hello from aws')
      await wait(({ Message }) => Message === 'hello from aws')
      return ''
    })
    await day.journal.step('hear of an upload', async () => {
      const { Topics } = await json<{ Topics: readonly [{ TopicArn: string }] }>('sns', 'list-topics')
      const { TopicArn } = Topics[0]
      const configuration = { TopicConfigurations: [{ Id: 'all', TopicArn, Events: ['s3:ObjectCreated:*'] }] }
      const given = JSON.stringify(configuration)
      const on = ['--bucket', bucket]
      await program.run('s3api', 'put-bucket-notification-configuration', ...on, '--notification-configuration', given)
      same(await json('s3api', 'get-bucket-notification-configuration', ...on), configuration, 'the configuration')
      const file = inside(day, 'told.txt')
      await writeFile(file, 'told')
      await program.run('s3', 'cp', file, `s3://${bucket}/told.txt`, '--only-show-errors')
      const { Message } = await wait((each) => each.Message.includes('told.txt'))
      same(JSON.parse(Message).Records[0].eventName, 'ObjectCreated:Put', 'the event')
      await program.run('sns', 'delete-topic', '--topic-arn', TopicArn)
      await program.run('s3api', 'put-bucket-notification-configuration', ...on, '--notification-configuration', '{}')
      return ''
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
