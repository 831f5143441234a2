import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { realWorld, type World } from '#src/world.ts'
import { ClockGuard, clockMethod } from './clock-guard.ts'
import { PeerUnreachable, type Transport } from './transport.ts'

/** Cells whose clocks a test turns, and a time that passes when it says so. */
function cells(skews: readonly number[]) {
  const time = { monotonic: 0 }
  const skew = [...skews]
  const down = new Set<number>()
  /** How long each answer is on its way back, in milliseconds. */
  const way = { back: 0 }
  const worlds = skew.map(
    (_, cell): World => ({
      ...realWorld,
      monotonic: () => time.monotonic,
      now: () => 1_700_000_000_000 + time.monotonic + (skew[cell] ?? 0),
      nowMicroseconds: () => BigInt(1_700_000_000_000 + time.monotonic + (skew[cell] ?? 0)) * 1000n,
      sleep: () => new Promise(() => {}),
    }),
  )
  const transport: Transport = {
    async ask(cell, _, request, signal) {
      const world = worlds[cell]
      if (down.has(cell) || world === undefined) throw new PeerUnreachable(cell)
      const answer = (await clockMethod(world).answer(
        request,
        { cell, region: '', incarnation: '' },
        signal,
      )) as Uint8Array
      time.monotonic += way.back
      return answer
    },
    stream: () => assert.fail('nothing is streamed'),
  }
  const reports: boolean[] = []
  const guards = worlds.map(
    (world, self) =>
      new ClockGuard({
        world,
        transport,
        peers: () => worlds.map((_, cell) => cell).filter((cell) => cell !== self),
        report: (isAhead) => reports.push(isAhead),
      }),
  )
  return { time, skew, down, way, guards, worlds, reports }
}

const refuses = (guard: ClockGuard | undefined): boolean => {
  try {
    guard?.check()
    return false
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'ServiceUnavailable')
    return true
  }
}

const signal = new AbortController().signal
const measureAll = (guards: readonly ClockGuard[]) => Promise.all(guards.map((guard) => guard.measure(signal)))

test('L1, C8: the one clock that is ahead refuses, of two and of three, and nobody else', async () => {
  for (const [skews, refused] of [
    [[0, 0, 0], []],
    [[0, 499, 0], []],
    [[0, 3_600_000, 0], [1]],
    [[0, -3_600_000, 0], []],
    [[0, 600], [1]],
    [[600, 0], [0]],
    [
      [0, 0, 700, 800],
      [2, 3],
    ],
  ] as const) {
    const { guards } = cells(skews)
    await measureAll(guards)
    assert.deepEqual(
      guards.flatMap((guard, cell) => (refuses(guard) ? [cell] : [])),
      refused,
      `skews ${skews.join(', ')}`,
    )
  }
})

test('L1: a clock that leaps refuses at once, says so once, and takes writes again when it is set right', async () => {
  const { guards, skew, reports } = cells([0, 0, 0])
  await measureAll(guards)
  assert.equal(refuses(guards[0]), false)
  skew[0] = 10_000
  assert.equal(refuses(guards[0]), true)
  assert.equal(refuses(guards[0]), true)
  skew[0] = 0
  assert.equal(refuses(guards[0]), false)
  assert.deepEqual(reports, [true, false])
})

test('L1, C8: answers that were long on their way, as those of a busy machine are, make nobody refuse whose clock is right', async () => {
  const { guards, skew, way } = cells([0, 0])
  way.back = 1_900
  await guards[0]?.measure(signal)
  assert.equal(refuses(guards[0]), false)
  skew[0] = 5_000
  assert.equal(refuses(guards[0]), true)
})

test('L2, C8: alone, a node goes on by its monotonic clock whatever its wall clock says', async () => {
  const { guards, skew, down, time } = cells([0, 0, 0])
  await measureAll(guards)
  down.add(1).add(2)
  time.monotonic += 60_000
  skew[0] = 3_600_000
  await guards[0]?.measure(signal)
  assert.equal(refuses(guards[0]), false)
  assert.equal(guards[0]?.world.nowMicroseconds(), BigInt(1_700_000_060_000) * 1000n)
})

test('a node that never heard of anybody believes its own clock', () => {
  const { guards, worlds } = cells([5_000, 0])
  assert.equal(refuses(guards[0]), false)
  assert.equal(guards[0]?.world.nowMicroseconds(), worlds[0]?.nowMicroseconds())
})
