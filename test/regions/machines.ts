import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/**
 * Network namespaces that stand for machines far apart, joined by a bridge in one more, where the check itself runs: links
 * between them can be cut, in one direction or both, and nothing of it is seen outside.
 */
export class Machines {
  readonly #name: string
  readonly #codes: readonly string[]

  constructor(name: string, codes: readonly string[]) {
    this.#name = name
    this.#codes = codes
  }

  /** Why there can be none here; undefined: there can. */
  static hindrance(): string | undefined {
    if (process.getuid?.() !== 0) return 'namespaces need root'
    for (const [command, flag] of [
      ['ip', '-V'],
      ['nft', '--version'],
    ] as const) {
      if (spawnSync(command, [flag]).status !== 0) return `this machine has no ${command}`
    }
    return undefined
  }

  static create(codes: readonly string[]): Machines {
    const machines = new Machines(`mrdn${process.pid}`, codes)
    try {
      machines.#build()
    } catch (error) {
      machines.destroy()
      throw error
    }
    return machines
  }

  /** For a process that is let into them. */
  get name(): string {
    return this.#name
  }

  get hub(): string {
    return `${this.#name}hub`
  }

  /** Of a region, as in a URL. */
  address(code: string): string {
    return `fd6d:6572::${this.#codes.indexOf(code) + 1}`
  }

  /** A process on the machine of a region, the head of a group of its own. */
  spawn(code: string, words: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.#space(code), ...words], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    })
  }

  /** From now on nothing that one machine sends arrives at the other. */
  cut(from: string, to: string): void {
    this.#run(
      'ip',
      'netns',
      'exec',
      this.#space(to),
      'nft',
      `add rule ip6 faults input ip6 saddr ${this.address(from)} drop`,
    )
  }

  /** All links. */
  mend(): void {
    for (const code of this.#codes)
      this.#run('ip', 'netns', 'exec', this.#space(code), 'nft', 'flush chain ip6 faults input')
  }

  /** From now on nobody on that machine hears what a server there says on a port of its loopback; or again. */
  mute(code: string, port: number): void {
    const commands = [
      'add table ip muted',
      'add chain ip muted input { type filter hook input priority 0 ; policy accept ; }',
      `add rule ip muted input tcp sport ${port} drop`,
    ]
    this.#run('ip', 'netns', 'exec', this.#space(code), 'nft', commands.join('\n'))
  }

  unmute(code: string): void {
    this.#run('ip', 'netns', 'exec', this.#space(code), 'nft', 'delete table ip muted')
  }

  /** With all that runs on them still: a check that found no end may have left something. */
  destroy(): void {
    for (const space of [...this.#codes.map((code) => this.#space(code)), this.hub]) {
      const { stdout } = spawnSync('ip', ['netns', 'pids', space], { encoding: 'utf8' })
      for (const pid of stdout.split('\n').filter((each) => each !== '')) end(Number(pid))
      spawnSync('ip', ['netns', 'del', space])
    }
  }

  #space(code: string): string {
    return `${this.#name}${code}`
  }

  #build(): void {
    const { hub } = this
    this.#run('ip', 'netns', 'add', hub)
    this.#run('ip', '-n', hub, 'link', 'set', 'lo', 'up')
    this.#run('ip', '-n', hub, 'link', 'add', 'bridge', 'type', 'bridge')
    // Addresses are of use at once: there is nobody who could have the same.
    this.#run('ip', '-n', hub, 'address', 'add', 'fd6d:6572::100/64', 'dev', 'bridge', 'nodad')
    this.#run('ip', '-n', hub, 'link', 'set', 'bridge', 'up')
    for (const code of this.#codes) {
      const space = this.#space(code)
      this.#run('ip', 'netns', 'add', space)
      this.#run('ip', '-n', space, 'link', 'set', 'lo', 'up')
      this.#run('ip', '-n', hub, 'link', 'add', code, 'type', 'veth', 'peer', 'name', 'wan', 'netns', space)
      this.#run('ip', '-n', hub, 'link', 'set', code, 'master', 'bridge', 'up')
      this.#run('ip', '-n', space, 'address', 'add', `${this.address(code)}/64`, 'dev', 'wan', 'nodad')
      this.#run('ip', '-n', space, 'link', 'set', 'wan', 'up')
      this.#run('ip', 'netns', 'exec', space, 'nft', 'add table ip6 faults')
      this.#run(
        ...['ip', 'netns', 'exec', space, 'nft'],
        'add chain ip6 faults input { type filter hook input priority 0 ; policy accept ; }',
      )
    }
  }

  #run(...words: readonly string[]): void {
    const [command = '', ...rest] = words
    const { status, stderr } = spawnSync(command, rest, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr.trim()}`)
  }
}
