import { setTimeout as wait } from 'node:timers/promises'
import { defineCommand } from 'citty'
import { CannotDo, explained } from './client/connection.ts'
import { parseExposition } from './client/exposition.ts'
import { print } from './client/printing.ts'
import { type Look, topReport, topScreen } from './client/top-view.ts'

const answerMilliseconds = 10_000

async function look(url: string): Promise<Look> {
  const signal = AbortSignal.timeout(answerMilliseconds)
  const answer = await fetch(url, { signal }).catch((error: unknown) => {
    throw new CannotDo(explained(error, url).replace('--endpoint', '--metrics'))
  })
  const text = await answer.text()
  const samples = answer.ok ? parseExposition(text) : []
  if (samples.every(({ name }) => !name.startsWith('meridian_'))) {
    throw new CannotDo(`${url} tells no metrics of Meridian: name its metrics port with --metrics`)
  }
  return { at: performance.now() / 1000, samples }
}

const clearScreen = '\x1b[2J\x1b[H'

export const topCommand = defineCommand({
  meta: { name: 'top', description: 'Look at what a server does just now: requests, lag, volumes' },
  args: {
    metrics: {
      type: 'string',
      description: "the server's metrics",
      default: 'http://127.0.0.1:9464/metrics',
      valueHint: 'url',
    },
    every: { type: 'string', description: 'seconds between two looks', default: '2', valueHint: 'seconds' },
    once: { type: 'boolean', description: 'look twice, print, and end' },
    json: { type: 'boolean', description: 'print JSON, one object a look' },
  },
  async run({ args }) {
    const seconds = Number(args.every)
    if (!(seconds >= 0.1 && seconds <= 3_600)) throw new CannotDo('--every is a number of seconds from 0.1 to 3600')
    for (let before = await look(args.metrics); ; ) {
      await wait(seconds * 1000)
      const now = await look(args.metrics)
      if (args.json === true) print(JSON.stringify(topReport(before, now)))
      else {
        const isLive = args.once !== true && process.stdout.isTTY
        print(`${isLive ? clearScreen : ''}${topScreen(before, now, args.metrics)}`)
      }
      if (args.once === true) return
      before = now
    }
  },
})
