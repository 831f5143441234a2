import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { DevCluster } from '../support/dev-cluster.ts'
import { freePorts } from '../support/free-ports.ts'
import { hasRedis } from '../support/redis.ts'

const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0

/** What a Redis says to a word; undefined: nobody answers there. */
const ask = (port: number, word: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${word}\r\n`))
    socket.setTimeout(5_000, () => socket.destroy())
    socket.once('data', (chunk) => {
      resolve(chunk.toString())
      socket.destroy()
    })
    socket.once('error', () => resolve(undefined))
    socket.once('close', () => resolve(undefined))
  })

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; !(await isSo()); tries++) {
    assert.ok(tries < 300, what)
    await wait(100)
  }
}

test('dev runs a Redis for each region, and one that died again; both end with it', {
  skip: !hasRedis && 'there is no redis-server here',
}, async () => {
  const redis = await freePorts(2)
  const cluster = await DevCluster.start({
    codes: ['fra', 'iad'],
    latency: 'none',
    flags: ['--redis-port', String(redis)],
  })
  try {
    // What BullMQ keeps of a queue, even of an empty one.
    for (const port of [redis, redis + 1]) {
      await until(async () => /^:[1-9]/.test((await ask(port, 'DBSIZE')) ?? ''), `a queue on ${port}`)
    }
    await ask(redis + 1, 'SHUTDOWN NOSAVE')
    await until(async () => cluster.printed.includes('redis-server ended, and is started again'), cluster.printed)
    await until(async () => (await ask(redis + 1, 'PING')) === '+PONG\r\n', 'another Redis')
    // Each as a machine dies, one after the other.
    for (const code of ['fra', 'iad']) {
      const before = cluster.pidOf(code)
      process.kill(-before, 'SIGKILL')
      await until(async () => cluster.pidOf(code) !== before, `another ${code}`)
    }
    // Were it taken for the end of all regions, what they need would be stopped now.
    await wait(1_000)
    assert.equal(await ask(redis, 'PING'), '+PONG\r\n')
  } finally {
    await cluster.stop()
  }
  for (const port of [redis, redis + 1]) assert.equal(await ask(port, 'PING'), undefined)
})

test('dev runs a Prometheus that scrapes every region', {
  skip: !hasPrometheus && 'there is no prometheus here',
}, async () => {
  const port = await freePorts(1)
  const cluster = await DevCluster.start({
    codes: ['fra', 'iad'],
    latency: 'none',
    metrics: true,
    flags: ['--prometheus-port', String(port)],
  })
  try {
    const query = new URLSearchParams({ query: 'sum(up{job="meridian"})' })
    await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?${query}`)
      return (await answer.text()).includes('"2"')
    }, 'both regions are scraped')
  } finally {
    await cluster.stop()
  }
  await assert.rejects(fetch(`http://127.0.0.1:${port}/-/ready`))
})
