import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { limits, type Store, StoreError, type StoreErrorCode } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { bytes, PatientWorld, text } from './store.contract.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-lmdb-'))
let paths = 0
const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

const newPath = (): string => join(folder, String(paths++))
const openAt = (path: string): Promise<Store> => openLmdbStore({ path, world: realWorld })
const isError = (code: StoreErrorCode) => (error: unknown) => error instanceof StoreError && error.code === code
const get = (store: Store, key: string): Promise<string | undefined> =>
  store.snapshot(async (snapshot) => text(await snapshot.get(bytes(key))))
const set = (store: Store, key: string, value: string | Uint8Array): Promise<void> =>
  store.transact(async (transaction) => transaction.set(bytes(key), Buffer.from(value)))

interface Other {
  readonly child: ChildProcess
  ask(line: string): Promise<string>
  next(): Promise<string>
}

function otherProcess(path: string, environment: Record<string, string> = {}): Other {
  const script = join(import.meta.dirname, 'store-child.ts')
  const child = spawn(process.execPath, [script, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await lines.next()).value)
  const ask = (line: string): Promise<string> => {
    child.stdin.write(`${line}\n`)
    return next()
  }
  return { child, ask, next }
}

test('K3: a snapshot sees what another process has acknowledged before it, each time', async () => {
  const path = newPath()
  const store = await openAt(path)
  const other = otherProcess(path)
  // Reads all the time, so that a read transaction kept a little too long would show.
  let reading = true
  const reader = (async () => {
    while (reading) {
      await get(store, 'a')
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  try {
    for (let round = 0; round < 200; round++) {
      assert.equal(await other.ask(`set a ${round}`), 'done')
      assert.equal(await get(store, 'a'), String(round))
      await set(store, 'b', String(round))
      assert.equal(await other.ask('get b'), String(round))
    }
  } finally {
    reading = false
  }
  await reader
  await other.ask('close')
  await store.close()
})

test('K1, G2: two processes that increment one counter 1,000 times each make 2,000', async () => {
  const path = newPath()
  const store = await openAt(path)
  await set(store, 'n', '0')
  const others = [otherProcess(path), otherProcess(path)]
  assert.deepEqual(await Promise.all(others.map((other) => other.ask('increment n 1000'))), ['done', 'done'])
  assert.equal(await get(store, 'n'), '2000')
  await Promise.all(others.map((other) => other.ask('close')))
  await store.close()
})

test('a watch sees a change by another process', async () => {
  const path = newPath()
  const store = await openAt(path)
  const other = otherProcess(path)
  assert.equal(await other.ask('watch w'), 'watching')
  const changed = store.watch(bytes('v'), new AbortController().signal)
  await set(store, 'w', 'here')
  assert.equal(await other.next(), 'here')
  assert.equal(await other.ask('set v there'), 'done')
  await changed
  assert.equal(await get(store, 'v'), 'there')
  await other.ask('close')
  await store.close()
})

test('a watch sees a change whose last page takes long to sync', async (context) => {
  const path = newPath()
  const library = join(folder, 'slow-sync.so')
  // LMDB's meta page, all that is shorter than a page, counts at once, and is to be seen by readers only after its sync.
  const source = `
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <unistd.h>
    static ssize_t slow(const char *name, int file, const void *bytes, size_t size, off_t at) {
      ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
      ssize_t written = real(file, bytes, size, at);
      if (size < 512) usleep(300000);
      return written;
    }
    ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) { return slow("pwrite", file, bytes, size, at); }
    ssize_t pwrite64(int file, const void *bytes, size_t size, off_t at) { return slow("pwrite64", file, bytes, size, at); }`
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', library], { input: source }).status === 0
  if (!compiled) return context.skip('NOT SHOWN: a slow sync needs a C compiler')
  const store = await openAt(path)
  await set(store, 'a', '1')
  const other = otherProcess(path, { LD_PRELOAD: library })
  assert.equal(await other.ask('get a'), '1')
  const controller = new AbortController()
  const changed = store.watch(bytes('a'), controller.signal)
  const began = performance.now()
  assert.equal(await other.ask('set a 2'), 'done')
  assert.ok(performance.now() - began >= 300, 'the sync was slow')
  const late = setTimeout(() => controller.abort(new Error('the watch is deaf')), 60_000)
  await changed
  clearTimeout(late)
  await other.ask('close')
  await store.close()
})

test('K2: a process that is killed keeps nobody from reading and writing', async () => {
  const path = newPath()
  const store = await openAt(path)
  for (let round = 0; round < 3; round++) {
    const other = otherProcess(path)
    other.child.stdin?.write('set a 1\nincrement n 100000\n')
    assert.equal(await other.next(), 'done')
    await set(store, `mine${round}`, 'x')
    await new Promise((resolve) => setTimeout(resolve, 20))
    other.child.kill('SIGKILL')
    await once(other.child, 'exit')
    await set(store, 'b', String(round))
    assert.equal(await get(store, 'b'), String(round))
  }
  assert.ok(Number(await get(store, 'n')) > 0)
  await store.close()
})

test('K2: what was acknowledged is there after the process ends without closing, and stamps go on growing', async () => {
  const path = newPath()
  const stamp = async (store: Store): Promise<Buffer> => {
    await store.transact(async (transaction) => transaction.setStamped(bytes('s'), Buffer.alloc(10), 0))
    return Buffer.from((await store.snapshot((snapshot) => snapshot.get(bytes('s')))) ?? [])
  }
  let last: Buffer = Buffer.alloc(0)
  for (let round = 0; round < 3; round++) {
    const other = otherProcess(path)
    await other.ask(`set k${round} x`)
    other.child.kill('SIGKILL')
    await once(other.child, 'exit')
    const store = await openAt(path)
    assert.equal(await get(store, `k${round}`), 'x')
    const next = await stamp(store)
    assert.ok(Buffer.compare(next, last) > 0)
    last = next
    await store.close()
  }
})

test('K2, G3: a store that is full refuses what does not fit, keeps all before it, and lets what fits through', async (context) => {
  const path = newPath()
  mkdirSync(path)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', path]).status === 0
  if (!mounted) return context.skip('NOT SHOWN: a file system of 4 MiB needs root')
  const store = await openAt(path)
  try {
    const value = Buffer.alloc(limits.valueBytes, 1)
    let fitted = 0
    await assert.rejects(async () => {
      for (; fitted < 100; fitted++) await set(store, `big${fitted}`, value)
    }, isError('full'))
    assert.ok(fitted > 10, `${fitted} values`)
    assert.equal(await get(store, `big${fitted}`), undefined)
    await store.transact(async (transaction) => transaction.clear(bytes('big0')))
    const outcomes = await Promise.allSettled([
      set(store, 'small1', 'x'),
      store.transact(async (transaction) => {
        transaction.set(bytes('first'), bytes('x'))
        for (let index = 0; index < 50; index++) transaction.set(bytes(`more${index}`), value)
      }),
      set(store, 'small2', 'x'),
    ])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.ok(isError('full')(outcomes[1]?.status === 'rejected' && outcomes[1].reason))
    assert.deepEqual([await get(store, 'small1'), await get(store, 'small2')], ['x', 'x'])
    assert.deepEqual([await get(store, 'first'), await get(store, 'more0')], [undefined, undefined])
    for (let index = 1; index < fitted; index++) {
      await store.transact(async (transaction) => transaction.clear(bytes(`big${index}`)))
    }
    for (let round = 0; round < 5; round++) await set(store, 'again', value)
  } finally {
    await store.close()
    execFileSync('umount', [path])
  }
})

test('K2, G1, G4: a failed sync is an unknown result, ends the store, and closing does not hang', async (context) => {
  const path = newPath()
  const library = join(folder, 'failing-sync.so')
  const source = `
    #include <errno.h>
    #include <unistd.h>
    int fdatasync(int file) { if (access("${path}/fail", F_OK) == 0) { errno = EIO; return -1; } return fsync(file); }`
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', library], { input: source }).status === 0
  if (!compiled) return context.skip('NOT SHOWN: a failing fdatasync needs a C compiler')
  const other = otherProcess(path, { LD_PRELOAD: library })
  assert.equal(await other.ask('set a 1'), 'done')
  writeFileSync(join(path, 'fail'), '')
  assert.match(await other.ask('set a 2'), /^failed .*commit failed/)
  assert.match(await other.ask('set a 3'), /^failed .*must be opened again/)
  assert.match(await other.ask('get a'), /^failed .*must be opened again/)
  assert.equal(await other.ask('close'), 'closed')
  rmSync(join(path, 'fail'))
  const store = await openAt(path)
  assert.match((await get(store, 'a')) ?? '', /^[12]$/)
  await store.close()
})

test('K5, G3: a flipped bit in a value, in its checksum, or a value under another key, is told, never given out', async () => {
  const path = newPath()
  const store = await openAt(path)
  await set(store, 'key-one', 'value-one-value-one')
  await set(store, 'key-two', 'value-two-value-two')
  await store.close()
  const file = join(path, 'data.mdb')
  const sound = readFileSync(file)
  const places = (part: string): number[] => {
    const found: number[] = []
    for (let at = sound.indexOf(part); at >= 0; at = sound.indexOf(part, at + 1)) found.push(at)
    return found
  }
  const damage = async (change: (data: Buffer) => void): Promise<void> => {
    const data = Buffer.from(sound)
    change(data)
    writeFileSync(file, data)
    const broken = await openAt(path)
    await assert.rejects(get(broken, 'key-one'), isError('corrupt'))
    const range = broken.snapshot((snapshot) => snapshot.range(bytes(''), bytes('z'), { limit: 10 }))
    await assert.rejects(range, isError('corrupt'))
    // G3: what fails in the middle leaves nothing of its own, and takes no other along.
    const failing = broken.transact(async (transaction) => {
      transaction.set(bytes('half'), bytes('x'))
      transaction.add(bytes('key-one'), 1n)
    })
    await Promise.all([set(broken, 'beside', 'x'), assert.rejects(failing, isError('corrupt'))])
    assert.deepEqual([await get(broken, 'half'), await get(broken, 'beside')], [undefined, 'x'])
    assert.equal(
      await get(broken, 'key-two').catch((error: StoreError) => error.code),
      data.includes('key-two') ? 'value-two-value-two' : 'corrupt',
    )
    await broken.close()
  }
  const values = places('value-one-value-one')
  assert.ok(values.length > 0)
  const flip = (offset: number, mask: number) => (data: Buffer) => {
    for (const at of values) data[at + offset] = (data[at + offset] ?? 0) ^ mask
  }
  await damage(flip(0, 1))
  await damage(flip(18, 0x80))
  await damage(flip(-1, 1))
  await damage(flip(-4, 0x10))
  // As if another page had been written over this one: both value and checksum are sound, but another key's.
  const [other = 0] = places('value-two-value-two')
  assert.ok(other > 0)
  await damage((data) => {
    for (const at of values) sound.copy(data, at - 4, other - 4, other + 19)
  })
})

test('a data file that is cut, or is none, is refused at the opening, in this process, alive', async () => {
  const path = newPath()
  const store = await openAt(path)
  for (let round = 0; round < 20; round++) await set(store, `k${round}`, Buffer.alloc(50_000, round))
  await store.close()
  const file = join(path, 'data.mdb')
  const sound = readFileSync(file)
  for (const size of [sound.length - 4_096 * 30, 4_096 * 3, 4_096 + 100, 100]) {
    truncateSync(file, size)
    await assert.rejects(openAt(path), isError('corrupt'), `cut to ${size} bytes`)
    writeFileSync(file, sound)
  }
  writeFileSync(file, Buffer.alloc(sound.length, 0x5a))
  await assert.rejects(openAt(path), isError('corrupt'))
  writeFileSync(file, sound)
  const again = await openAt(path)
  assert.equal((await get(again, 'k7'))?.length, 50_000)
  await again.close()
})

test('a forgotten snapshot is ended after 5 s, and its pages are used again', async () => {
  const path = newPath()
  const world = new PatientWorld()
  const store = await openLmdbStore({ path, world })
  await set(store, 'a', '1')
  let let_go = (): void => undefined
  const forgotten = store.snapshot(async (snapshot) => {
    await snapshot.get(bytes('a'))
    await new Promise<void>((resolve) => {
      let_go = resolve
    })
    return snapshot.get(bytes('a'))
  })
  const size = () => readFileSync(join(path, 'data.mdb')).length
  const fill = async () => {
    for (let round = 0; round < 30; round++) await set(store, 'big', Buffer.alloc(limits.valueBytes, round))
  }
  await fill()
  const grown = size()
  assert.ok(grown > 25 * limits.valueBytes, 'the snapshot holds all those pages')
  world.pass(limits.transactionMilliseconds + 1)
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  await fill()
  assert.ok(size() - grown < 5 * limits.valueBytes, 'once it is ended, they are used again')
  let_go()
  await assert.rejects(forgotten, isError('transaction_too_old'))
  await store.close()
})
