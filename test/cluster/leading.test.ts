import assert from 'node:assert/strict'
import { test } from 'node:test'
import { together } from '#src/open/background.ts'
import { silentLog } from '#src/telemetry/log.ts'
import { Metrics } from '#src/telemetry/metrics.ts'
import { realWorld } from '#src/world.ts'
import { Replicating } from '../../bin/replicating.ts'
import { openCluster } from './regions.ts'

test('N5: what follows other regions ends with the lead of a cell, and begins again with it', async () => {
  const cluster = await openCluster()
  try {
    const { node } = (await cluster.start('fra')).node
    const metrics = new Metrics()
    const replicating = new Replicating({
      log: silentLog,
      world: realWorld,
      redis: undefined,
      metrics,
      tracer: undefined,
    })
    for (let term = 1; term <= 3; term++) {
      const stop = new AbortController()
      const running = replicating.run(node, stop.signal)
      await Promise.race([replicating.caughtUp(stop.signal), running])
      stop.abort()
      await running
    }
    const series = (await metrics.read()).map(({ name, labels }) => `${name} ${labels.join()}`)
    assert.equal(new Set(series).size, series.length)
  } finally {
    await cluster.close()
  }
})

test('N5: where one of several works fails the others end, and then it is told', async () => {
  const ended: string[] = []
  const untilAborted = (name: string) => async (signal: AbortSignal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    await new Promise((resolve) => setImmediate(resolve))
    ended.push(name)
  }
  const failing = async (): Promise<void> => {
    throw new Error('as it happens')
  }
  const works = [untilAborted('a'), failing, untilAborted('b'), () => undefined]
  await assert.rejects(together(new AbortController().signal, works), /as it happens/)
  assert.deepEqual(ended, ['a', 'b'])
  const stop = new AbortController()
  const running = together(stop.signal, [untilAborted('c')])
  stop.abort()
  await running
  assert.deepEqual(ended, ['a', 'b', 'c'])
})
