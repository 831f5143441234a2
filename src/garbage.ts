import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Bytes of buffers that may lie about unused. V8 looks for garbage when JavaScript's own heap has grown, and a buffer of 64 KiB is
 * some hundred bytes there: a stream of gigabytes would leave some 80 MiB of them behind at a time.
 */
const passedMost = 16 * 2 ** 20

type Collect = (options: { readonly type: 'minor' }) => void

let passed = 0
let collect: Collect | undefined

/** To be told of each buffer that a stream has taken from a socket: collects the young ones, some milliseconds at most, when many went by. */
export function passBuffer(bytes: number): void {
  passed += bytes
  if (passed < passedMost) return
  passed = 0
  collect ??= minorCollection()
  collect({ type: 'minor' })
}

/** V8 gives its collector to contexts that are made after this flag was set. https://nodejs.org/api/cli.html#--expose-gc */
function minorCollection(): Collect {
  setFlagsFromString('--expose-gc')
  const found = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return found
}
