import assert from 'node:assert/strict'
import fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { realWorld } from '#src/world.ts'
import { lateKeys } from './late-keys.ts'
import { BadKeyFile, LocalKeys } from './local-keys.ts'

async function inFolder(body: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'meridian-keys-'))
  try {
    await body(join(folder, 'encryption', 'keys.json'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const context = Buffer.from('context')

test('L1: a key stays what it is, and is seen by who had the file open before', () =>
  inFolder(async (file) => {
    const early = LocalKeys.open(file, realWorld)
    assert.equal(fs.statSync(file).mode & 0o777, 0o600)
    const isMissing = (error: unknown) => error instanceof Fault && error.code === 'KMS.NotFoundException'
    await assert.rejects(early.managed.generate('mine', context), isMissing)
    const late = LocalKeys.open(file, realWorld)
    late.createManaged('mine')
    assert.throws(() => late.createManaged('mine'), Fault)
    for (const name of ['', 'a b', '../x y']) assert.throws(() => late.createManaged(name), Fault)
    assert.deepEqual(late.managedNames(), ['aws/s3', 'mine'])
    const made = await early.managed.generate('mine', context)
    assert.deepEqual(Buffer.from(await late.managed.unwrap('mine', made.wrapped, context)), Buffer.from(made.plain))
    const own = await early.own.generate(early.own.current(), context)
    const again = LocalKeys.open(file, realWorld)
    assert.equal(again.own.current(), early.own.current())
    assert.deepEqual(
      Buffer.from(await again.own.unwrap(again.own.current(), own.wrapped, context)),
      Buffer.from(own.plain),
    )
    // A name that every object has is no key.
    await assert.rejects(early.managed.generate('constructor', context), isMissing)
  }))

test('L2: a file that came to be meanwhile is used, not replaced', () =>
  inFolder(async (file) => {
    let first: LocalKeys | undefined
    // Another process makes the file while this one draws its keys.
    const racing = {
      ...realWorld,
      randomBytes: (size: number) => {
        first ??= LocalKeys.open(file, realWorld)
        return realWorld.randomBytes(size)
      },
    }
    const second = LocalKeys.open(file, racing)
    assert.equal(second.own.current(), first?.own.current())
    assert.equal(LocalKeys.open(file, realWorld).own.current(), first?.own.current())
    assert.deepEqual(fs.readdirSync(join(file, '..')), ['keys.json'])
  }))

test('L3: who is beside a server makes no file, and opens the one that the server made', () =>
  inFolder(async (file) => {
    assert.throws(() => LocalKeys.existing(file, realWorld), BadKeyFile)
    assert.equal(fs.existsSync(file), false)
    const made = LocalKeys.open(file, realWorld)
    assert.equal(LocalKeys.existing(file, realWorld).own.current(), made.own.current())
  }))

test('keys that are opened late are opened once, by whoever asks first', () =>
  inFolder(async (file) => {
    let times = 0
    const late = lateKeys(() => {
      times += 1
      return LocalKeys.existing(file, realWorld)
    })
    assert.equal(times, 0)
    await assert.rejects(late.managed.generate('aws/s3', context), BadKeyFile)
    const there = LocalKeys.open(file, realWorld)
    for (const kind of ['own', 'managed'] as const) {
      const name = kind === 'own' ? late.own.current() : 'aws/s3'
      const { plain, wrapped } = await late[kind].generate(name, context)
      const again = await there[kind].unwrap(name, wrapped, context)
      assert.deepEqual(Buffer.from(again), Buffer.from(plain))
      assert.deepEqual(Buffer.from(await late[kind].unwrap(name, wrapped, context)), Buffer.from(plain))
    }
    assert.equal(times, 2)
  }))

test('a file that is no file of keys is refused', () =>
  inFolder(async (file) => {
    LocalKeys.open(file, realWorld)
    const good = fs.readFileSync(file, 'utf8')
    for (const bad of [
      '',
      '{}',
      'null',
      good.replace('"format": 1', '"format": 2'),
      good.replace(/[0-9a-f]{64}/, 'ab'),
    ]) {
      fs.writeFileSync(file, bad)
      assert.throws(() => LocalKeys.open(file, realWorld), BadKeyFile)
    }
  }))
