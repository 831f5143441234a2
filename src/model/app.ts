import type { SealedSecret } from './encryption.ts'

/** A program of an organisation, somewhere, that is given secrets. */
export interface App {
  readonly id: string
  readonly name: string
  readonly organization: string
  /** Given once, ever. */
  readonly number: number
  /** Milliseconds since the epoch. */
  readonly created: number
  /** By name; each sealed. */
  readonly secrets: Readonly<Record<string, SealedSecret>>
  /** Where it runs. Absent: nowhere that is known. */
  readonly machines?: readonly Machine[]
  /** The last time that its secrets were deployed, or begun to be. */
  readonly release?: Release
}

/** Where an app's secrets go. */
export interface SecretPlace {
  readonly to: 'env-file' | 'kubernetes'
  /** On the machine that delivers. */
  readonly file: string
  /** Of Kubernetes. */
  readonly namespace: string
}

/** A place where an app runs, which flyctl takes for a machine: the app's secrets go there whenever they are deployed. */
export interface Machine {
  /** 14 hexadecimal digits. */
  readonly id: string
  readonly place: SecretPlace
  /** Another one after each delivery. */
  readonly instance: string
  readonly deliveries: number
  readonly created: number
  readonly updated: number
  /** As flyctl gave it last; nothing here acts upon it. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly lease?: Lease
}

/** Who alone may change a machine, for a while. */
export interface Lease {
  readonly nonce: string
  /** Of a person. */
  readonly owner: string
  /** Milliseconds since the epoch. */
  readonly ends: number
}

export interface Release {
  readonly id: string
  /** Counts an app's. */
  readonly version: number
  readonly status: string
  readonly created: number
}

/** A bucket as flyctl knows it: the provider's, with the app that it is for. */
export interface AddOn {
  readonly id: string
  readonly name: string
  readonly organization: string
  /** Of the app. */
  readonly app?: string
  /** What the provider calls it; absent: it has not answered yet. */
  readonly providerId?: string
  /** The provider's, by its names, without secrets. */
  readonly options: Readonly<Record<string, unknown>>
  /** As flyctl gave them, where they are not the options. */
  readonly metadata?: unknown
  readonly created: number
}

/** What variables of an environment are called everywhere. */
export const isVariableName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)

/** A file of `NAME='value'` lines that a shell, systemd and Docker's `--env-file` read alike where no value needs quotes. */
export function envFile(secrets: ReadonlyMap<string, string>): string {
  const lines = [...secrets].map(([name, value]) => `${name}=${quoted(value)}\n`)
  return lines.join('')
}

/** As it is where no reader would make anything else of it; otherwise in single quotes, as shells have them. */
const quoted = (value: string): string =>
  /^[A-Za-z0-9_./:@%+,=-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`

/** https://kubernetes.io/docs/concepts/configuration/secret/ */
export function kubernetesSecret(name: string, namespace: string, secrets: ReadonlyMap<string, string>): string {
  const data = [...secrets].map(([key, value]) => `  ${key}: ${Buffer.from(value).toString('base64')}\n`)
  return [
    'apiVersion: v1\nkind: Secret\nmetadata:\n',
    `  name: ${JSON.stringify(name)}\n  namespace: ${JSON.stringify(namespace)}\n`,
    'type: Opaque\ndata:\n',
    ...data,
  ].join('')
}
