export interface BenchOptions {
  readonly seconds: number
  readonly keys: number
  readonly gibibytes: number
}
