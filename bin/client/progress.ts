import { sizeOf } from './printing.ts'

const barWidth = 24
const drawMilliseconds = 100
/** Rates are those of about so long. */
const windowMilliseconds = 5_000

/** How far a copy is, drawn where somebody looks: on a terminal, on standard error. */
export class Progress {
  readonly #out: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>
  #total = 0
  #done = 0
  #files = 0
  #filesDone = 0
  #current = ''
  #drawn = Number.NEGATIVE_INFINITY
  #isDrawn = false
  readonly #marks: (readonly [at: number, done: number])[] = []

  constructor(out: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'> = process.stderr) {
    this.#out = out
  }

  /** There is one more to be copied, of so many bytes. */
  expect(bytes: number): void {
    this.#total += bytes
    this.#files++
    this.#draw()
  }

  begin(name: string): void {
    this.#current = name
    this.#draw()
  }

  add(bytes: number): void {
    this.#done += bytes
    this.#draw()
  }

  finish(): void {
    this.#filesDone++
    this.#draw()
  }

  /** Takes the bar away again. */
  close(): void {
    if (this.#isDrawn) this.#out.write('\r\x1b[K')
    this.#isDrawn = false
  }

  #draw(): void {
    if (this.#out.isTTY !== true) return
    const now = performance.now()
    if (now - this.#drawn < drawMilliseconds) return
    this.#drawn = now
    this.#marks.push([now, this.#done])
    while (this.#marks.length > 2 && now - (this.#marks[0]?.[0] ?? now) > windowMilliseconds) this.#marks.shift()
    this.#out.write(`\r\x1b[K${this.line(now).slice(0, (this.#out.columns ?? 80) - 1)}`)
    this.#isDrawn = true
  }

  /** As it stands. */
  line(now: number): string {
    const share = this.#total === 0 ? 0 : Math.min(1, this.#done / this.#total)
    const filled = Math.round(share * barWidth)
    const bar = `${'='.repeat(filled)}${' '.repeat(barWidth - filled)}`
    const [from, doneThen] = this.#marks[0] ?? [now, this.#done]
    const rate = now > from ? ((this.#done - doneThen) / (now - from)) * 1000 : 0
    const left = rate > 0 ? `, ${durationOf((this.#total - this.#done) / rate)} left` : ''
    const files = this.#files > 1 ? ` ${this.#filesDone}/${this.#files}` : ''
    const amount = `${sizeOf(this.#done)} of ${sizeOf(this.#total)}`
    return `[${bar}] ${Math.floor(share * 100)}%${files} ${amount}, ${sizeOf(Math.round(rate))}/s${left} ${this.#current}`
  }
}

function durationOf(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
