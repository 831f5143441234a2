/** What a metric is: its name, unit included, and what it tells. https://prometheus.io/docs/practices/naming/ */
export interface Definition {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Names of its labels: the values that they take must be few. */
  readonly labels: readonly string[]
  /** Of a histogram: upper bounds of its buckets, rising; what is above the last one is counted too. */
  readonly bounds?: readonly number[]
}

/** One series, as plain data that goes from process to process. */
export interface Reading {
  readonly name: string
  readonly labels: readonly string[]
  readonly value: number | HistogramValue
}

export interface HistogramValue {
  /** Observations in each bucket alone, the one above the last bound included. */
  readonly counts: readonly number[]
  readonly sum: number
}

export class Counter {
  value = 0

  add(amount = 1): void {
    this.value += amount
  }
}

export class Gauge {
  value = 0

  add(amount: number): void {
    this.value += amount
  }

  set(value: number): void {
    this.value = value
  }
}

export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  get value(): HistogramValue {
    return { counts: [...this.#counts], sum: this.#sum }
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }
}

/** A metric's series, by the values of its labels: whoever observes often keeps the series, and does not ask for it each time. */
export class Family<Series extends { readonly value: number | HistogramValue }> {
  readonly #definition: Definition
  readonly #make: () => Series
  readonly #series = new Map<string, { readonly labels: readonly string[]; readonly series: Series }>()

  constructor(definition: Definition, make: () => Series) {
    this.#definition = definition
    this.#make = make
  }

  /** In the order of the definition's labels. The series is there from now on, even if nothing is ever added to it. */
  of(...labels: readonly string[]): Series {
    const name = labels.join('\0')
    const known = this.#series.get(name)
    if (known !== undefined) return known.series
    if (labels.length !== this.#definition.labels.length) {
      throw new Error(`${this.#definition.name} has the labels ${this.#definition.labels.join()}`)
    }
    const series = this.#make()
    this.#series.set(name, { labels, series })
    return series
  }

  *read(): Generator<Reading> {
    const { name } = this.#definition
    for (const { labels, series } of this.#series.values()) yield { name, labels, value: series.value }
  }
}

/** A value that is found out when it is asked for. */
export interface Sample {
  readonly labels: readonly string[]
  readonly value: number
}

type Collect = () => readonly Sample[] | Promise<readonly Sample[]>

/**
 * What one process measures of itself.
 *
 * R1  observing allocates nothing, and reading stops nobody: series are numbers that are read where they are.
 * R2  a value that cannot be found out is left out, and takes no other with it.
 */
export class Metrics {
  readonly #families = new Map<string, { read(): Iterable<Reading> }>()
  readonly #collected: { readonly definition: Definition; readonly collect: Collect }[] = []

  counter(definition: Definition): Family<Counter> {
    return this.#family(definition, 'counter', () => new Counter())
  }

  gauge(definition: Definition): Family<Gauge> {
    return this.#family(definition, 'gauge', () => new Gauge())
  }

  histogram(definition: Definition): Family<Histogram> {
    const { bounds } = definition
    if (bounds === undefined) throw new Error(`${definition.name} has no bounds`)
    return this.#family(definition, 'histogram', () => new Histogram(bounds))
  }

  /** Has a counter's or a gauge's values read when somebody asks. */
  collect(definition: Definition, collect: Collect): void {
    this.#collected.push({ definition, collect })
  }

  async read(): Promise<readonly Reading[]> {
    const collected = await Promise.all(
      this.#collected.map(async ({ definition: { name }, collect }) => {
        try {
          return (await collect()).map(({ labels, value }) => ({ name, labels, value }))
        } catch {
          // It is missing in the answer, and whoever graphs it sees that.
          return []
        }
      }),
    )
    const counted = [...this.#families.values()].flatMap((family) => [...family.read()])
    return [...counted, ...collected.flat()]
  }

  #family<Series extends { readonly value: number | HistogramValue }>(
    definition: Definition,
    kind: Definition['kind'],
    make: () => Series,
  ): Family<Series> {
    const { name } = definition
    if (definition.kind !== kind) throw new Error(`${name} is a ${definition.kind}`)
    if (this.#families.has(name)) throw new Error(`${name} is measured twice`)
    const family = new Family(definition, make)
    this.#families.set(name, family)
    return family
  }
}
