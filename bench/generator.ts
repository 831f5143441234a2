import { connect, type Socket } from 'node:net'

/** A request, as the bytes that go over the wire: made and signed before the clock runs. */
export interface Shot {
  readonly head: Buffer
  readonly body?: Buffer
  /** A HEAD's answer names a length but has no body. */
  readonly isHead: boolean
}

export interface LoadOptions {
  readonly port: number
  readonly shots: readonly Shot[]
  readonly connections: number
  readonly seconds: number
  /** Each shot at most once: for what cannot be repeated, such as deletes. */
  readonly once?: boolean
  /** Of all connections together, a second; absent: as fast as answers come. */
  readonly rate?: number
}

export interface LoadResult {
  readonly operations: number
  readonly perSecond: number
  readonly bytesPerSecond: number
  readonly p50: number
  readonly p99: number
  /** Answers that were not 2xx. */
  readonly failures: number
  /** Share of one core that the generator itself used: near 1, it is the bottleneck. */
  readonly generatorLoad: number
}

const headEnd = Buffer.from('\r\n\r\n')

/**
 * Plain sockets that send ready-made requests one after another and read no more of an answer than its status and length: an
 * HTTP client of its own would use more of the machine than the servers that are measured.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { port, shots, connections, seconds, once = false, rate = Number.POSITIVE_INFINITY } = options
  const latencies: number[] = []
  let next = 0
  let bytes = 0
  let failures = 0
  const started = performance.now()
  const cpu = process.cpuUsage()
  const until = started + seconds * 1000
  // A connection that waits has its own shot to wait for: if all waited for the next one, all would fire at once.
  const take = (): Taken | undefined => {
    const due = started + (next * 1000) / rate
    if (Math.max(due, performance.now()) >= until || (once && next >= shots.length)) return undefined
    const shot = shots[next++ % shots.length]
    return shot && { shot, due }
  }
  const done = (status: number, size: number, from: number): void => {
    latencies.push(performance.now() - from)
    bytes += size
    if (status < 200 || status > 299) failures += 1
  }
  await Promise.all(Array.from({ length: connections }, () => shoot(port, { take, done })))
  const elapsed = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  return {
    operations: latencies.length,
    perSecond: latencies.length / elapsed,
    bytesPerSecond: bytes / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    failures,
    generatorLoad: (user + system) / 1e6 / elapsed,
  }
}

interface Taken {
  readonly shot: Shot
  /** When it is to be sent, by performance.now(). */
  readonly due: number
}

interface Aim {
  take(): Taken | undefined
  done(status: number, size: number, from: number): void
}

function shoot(port: number, aim: Aim): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    socket.on('error', reject)
    // A request that gets no answer is none that was measured.
    socket.on('close', () => reject(new Error('the server closed a connection')))
    socket.on('connect', () => {
      const answers = new Answers(socket, aim, () => {
        socket.destroy()
        resolve()
      })
      socket.on('data', (chunk) => answers.read(chunk))
      answers.send()
    })
  })
}

/** One connection: sends, waits for the whole answer, sends the next. */
class Answers {
  readonly #socket: Socket
  readonly #aim: Aim
  readonly #end: () => void
  #shot: Shot | undefined
  #from = 0
  #head: Buffer = Buffer.alloc(0)
  #status = 0
  /** Bytes of the body still to come; -1 while the head is not whole. */
  #rest = -1
  #size = 0

  constructor(socket: Socket, aim: Aim, end: () => void) {
    this.#socket = socket
    this.#aim = aim
    this.#end = end
  }

  send(): void {
    const taken = this.#aim.take()
    if (taken === undefined) {
      this.#end()
      return
    }
    const early = taken.due - performance.now()
    // Timers have milliseconds.
    if (early >= 1) setTimeout(() => this.#shoot(taken.shot), early)
    else this.#shoot(taken.shot)
  }

  #shoot(shot: Shot): void {
    this.#shot = shot
    this.#from = performance.now()
    this.#rest = -1
    this.#size = 0
    const { head, body } = shot
    if (body === undefined) this.#socket.write(head)
    else {
      this.#socket.cork()
      this.#socket.write(head)
      this.#socket.write(body)
      this.#socket.uncork()
    }
  }

  read(chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#rest >= 0) this.#receive(chunk.length)
    else this.#readHead(chunk)
  }

  #readHead(chunk: Buffer): void {
    this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
    const end = this.#head.indexOf(headEnd)
    if (end < 0) return
    const text = this.#head.toString('latin1', 0, end).toLowerCase()
    this.#status = Number(text.slice(9, 12))
    const at = text.indexOf('\r\ncontent-length: ')
    const length = at < 0 ? 0 : Number.parseInt(text.slice(at + 18), 10)
    if (text.includes('\r\ntransfer-encoding:')) throw new Error('an answer without a length')
    const received = this.#head.length - end - 4
    this.#head = Buffer.alloc(0)
    this.#rest = this.#shot?.isHead === true ? 0 : length
    this.#receive(this.#shot?.isHead === true ? 0 : received)
  }

  #receive(received: number): void {
    this.#rest -= received
    if (this.#rest > 0) return
    this.#aim.done(this.#status, this.#size, this.#from)
    this.send()
  }
}
