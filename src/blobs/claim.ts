import fs from 'node:fs'
import net from 'node:net'
import { Fault } from '#src/errors.ts'

/**
 * A process's claim on what it writes on a volume: a listening socket under a random name in the volume's `claims`.
 *
 * L1  a claim counts as dead only where no process listens on it any more; in doubt it counts as alive.
 *
 * Node has no flock. The kernel ends the listening with the process, however it ends, and nobody else can take a random
 * name over: so a process id that is used again, a reboot, another process namespace or a container on the same kernel do
 * not matter, which a file that names a process id could not say. Linux, macOS and the BSDs have it; elsewhere (Windows)
 * opening a volume fails. Volumes are on local file systems: on one shared by several hosts this lock would not hold.
 */
export class Claim {
  readonly name: string
  readonly #server: net.Server
  readonly #path: string
  readonly #directory: number | undefined

  private constructor(name: string, path: string, server: net.Server, directory: number | undefined) {
    this.name = name
    this.#path = path
    this.#server = server
    this.#directory = directory
  }

  static async take(claims: string, name: string): Promise<Claim> {
    const address = new SocketAddress(claims)
    const server = net.createServer((socket) => socket.destroy())
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        // Exclusive: a cluster worker would otherwise listen through its primary, and seem alive after its death.
        server.listen({ path: address.of(`${name}.starting`), exclusive: true }, resolve)
      })
      // Only what already listens gets the name by which others ask: none is found dead between its binding and listening.
      fs.renameSync(`${claims}/${name}.starting`, `${claims}/${name}.socket`)
    } catch (error) {
      address.close()
      server.close()
      throw error
    }
    server.unref()
    // The kernel's queue was full, or descriptors ran out: whoever asked has seen enough.
    server.on('error', () => {})
    return new Claim(name, `${claims}/${name}.socket`, server, address.directory)
  }

  /** Lets go: all that was claimed counts as left behind. */
  release(): void {
    fs.rmSync(this.#path, { force: true })
    this.#server.close()
    if (this.#directory !== undefined) fs.closeSync(this.#directory)
  }
}

/** Whether the process behind a claim lives. */
export async function isAlive(claims: string, name: string): Promise<boolean> {
  const address = new SocketAddress(claims)
  try {
    return await new Promise<boolean>((resolve) => {
      const socket = net.connect(address.of(`${name}.socket`))
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      // ECONNREFUSED: nobody listens. ENOENT: it was released. All else (a full queue, no descriptors) proves nothing.
      socket.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
      })
    })
  } finally {
    address.close()
  }
}

/** Removes the sockets of dead processes. */
export async function clearDeadClaims(claims: string): Promise<void> {
  for (const file of fs.readdirSync(claims)) {
    if (!file.endsWith('.socket')) continue
    if (!(await isAlive(claims, file.slice(0, -'.socket'.length)))) fs.rmSync(`${claims}/${file}`, { force: true })
  }
}

/** Socket addresses hold 107 bytes (103 on macOS); a longer path is reached through the directory's descriptor. */
class SocketAddress {
  readonly directory: number | undefined
  readonly #prefix: string

  constructor(claims: string) {
    const longestName = 32 + '.starting'.length
    if (Buffer.byteLength(claims) + 1 + longestName <= 103) {
      this.#prefix = claims
      return
    }
    if (process.platform !== 'linux') {
      throw new Fault('InvalidArgument', { message: `The path of the volume is too long: ${claims}` })
    }
    this.directory = fs.openSync(claims, 'r')
    this.#prefix = `/proc/self/fd/${this.directory}`
  }

  of(file: string): string {
    return `${this.#prefix}/${file}`
  }

  close(): void {
    if (this.directory !== undefined) fs.closeSync(this.directory)
  }
}
