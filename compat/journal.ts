/** What a run tells while it goes: one line a step, with what was counted and how long it took. */
export class Journal {
  readonly name: string
  steps = 0

  constructor(name: string) {
    this.name = name
  }

  say(line: string): void {
    process.stdout.write(`${this.name}: ${line}\n`)
  }

  /** Runs one step; the words it returns stand behind its title. A failing step is named before its error goes on. */
  async step(title: string, body: () => Promise<string>): Promise<void> {
    const began = performance.now()
    try {
      const found = await body()
      this.steps += 1
      this.say(`ok    ${title}${found === '' ? '' : `: ${found}`} (${seconds(began)})`)
    } catch (error) {
      this.say(`FAIL  ${title} (${seconds(began)})`)
      throw error
    }
  }
}

export function seconds(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`
}
