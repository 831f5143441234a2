import { Fault } from '#src/errors.ts'

const invalid = (message: string): Fault => new Fault('ValidationError', { message })

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalid('The form is not encoded as application/x-www-form-urlencoded.')
  }
}

const parametersMax = 2_000

/** The fields of a query request, each once. */
export class FormParameters {
  readonly #fields: ReadonlyMap<string, string>

  constructor(fields: ReadonlyMap<string, string>) {
    this.#fields = fields
  }

  static parse(bytes: Uint8Array): FormParameters {
    const fields = new Map<string, string>()
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    for (const pair of text.split('&')) {
      if (pair === '') continue
      const equals = pair.indexOf('=')
      const name = decode(equals < 0 ? pair : pair.slice(0, equals))
      if (fields.has(name)) throw invalid(`The parameter ${name} must be given once.`)
      if (fields.size >= parametersMax) throw invalid('The request has too many parameters.')
      fields.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1)))
    }
    return new FormParameters(fields)
  }

  text(name: string): string | undefined {
    return this.#fields.get(name)
  }

  needed(name: string): string {
    const value = this.#fields.get(name)
    if (value === undefined)
      throw invalid(`Value null at '${name}' failed to satisfy constraint: Member must not be null`)
    return value
  }

  integer(name: string, least: number, most: number): number | undefined {
    const text = this.#fields.get(name)
    if (text === undefined) return undefined
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= least && value <= most)) {
      throw invalid(`Value '${text}' at '${name}' failed to satisfy constraint: between ${least} and ${most}`)
    }
    return value
  }

  /** `Name.member.1`, `Name.member.2` …; an empty list may come as `Name=` alone. */
  list(name: string): readonly string[] | undefined {
    const values: string[] = []
    for (let at = 1; ; at++) {
      const value = this.#fields.get(`${name}.member.${at}`)
      if (value === undefined) break
      values.push(value)
    }
    return values.length === 0 && !this.#fields.has(name) ? undefined : values
  }

  /** `Name.member.1.Key` and `Name.member.1.Value` …, or with other words for these three. */
  pairs(
    name: string,
    words = { member: 'member', key: 'Key', value: 'Value' },
  ): readonly (readonly [string, string])[] {
    const pairs: (readonly [string, string])[] = []
    for (let at = 1; ; at++) {
      const key = this.#fields.get(`${name}.${words.member}.${at}.${words.key}`)
      if (key === undefined) return pairs
      pairs.push([key, this.#fields.get(`${name}.${words.member}.${at}.${words.value}`) ?? ''])
    }
  }
}
