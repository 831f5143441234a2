import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseAllDocuments } from 'yaml'

const root = join(import.meta.dirname, '../..')
export const chartFolder = join(root, 'deploy/kubernetes/meridian')
const exampleFolder = join(root, 'deploy/kubernetes/examples')
const renderedFolder = join(import.meta.dirname, 'rendered')

/** Of those that chart and validators know: the oldest that the chart is for. */
const kubernetes = '1.28.0'

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly periodSeconds: number
  readonly timeoutSeconds: number
  readonly failureThreshold: number
}

export interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: object
}

export interface Security {
  readonly allowPrivilegeEscalation: boolean
  readonly readOnlyRootFilesystem: boolean
  readonly capabilities: { readonly drop: readonly string[] }
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly args?: readonly string[]
  readonly command?: readonly string[]
  readonly env?: readonly Variable[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
  readonly securityContext: Security
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } }
}

/** Which key of a Secret or ConfigMap is which file. */
export interface KeyPath {
  readonly key: string
  readonly path: string
}

export interface PodVolume {
  readonly name: string
  readonly emptyDir?: object
  readonly secret?: { readonly secretName: string; readonly items?: readonly KeyPath[] }
  readonly configMap?: { readonly name: string; readonly items?: readonly KeyPath[] }
}

export interface PodSpec {
  readonly containers: readonly [Container]
  readonly initContainers?: readonly Container[]
  readonly volumes: readonly PodVolume[]
  readonly enableServiceLinks: boolean
  readonly automountServiceAccountToken: boolean
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: {
    readonly runAsNonRoot: boolean
    readonly runAsUser: number
    readonly runAsGroup: number
    readonly fsGroup: number
    readonly seccompProfile: { readonly type: string }
  }
}

export interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
}

export interface StatefulSet extends Manifest {
  readonly spec: {
    readonly serviceName: string
    readonly replicas: number
    readonly template: { readonly metadata: Manifest['metadata']; readonly spec: PodSpec }
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[]
  }
}

export interface Service extends Manifest {
  readonly spec: {
    readonly type?: string
    readonly clusterIP?: string
    readonly publishNotReadyAddresses?: boolean
    readonly ipFamilyPolicy: string
    readonly ipFamilies?: readonly string[]
    readonly selector: Readonly<Record<string, string>>
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[]
  }
}

/** Names of the files of values that docs/deploying.md explains. */
export const examples: readonly string[] = globSync('*.yaml', { cwd: exampleFolder })
  .map((each) => basename(each, '.yaml'))
  .sort()

const helm = (...words: readonly string[]) =>
  spawnSync('helm', words, { encoding: 'utf8', timeout: 60_000, maxBuffer: 2 ** 26 })

/** Why nothing is shown with Helm here; false: it is there. */
export const whyNoHelm: string | false =
  helm('version', '--short').status !== 0 && 'not shown: there is no helm here (go install helm.sh/helm/v3/cmd/helm)'

export interface Rendered {
  readonly isGood: boolean
  readonly text: string
  readonly errors: string
}

/** What Helm makes of the chart, with an example's values or the chart's own. */
export function render(example?: string, ...more: readonly string[]): Rendered {
  const values = example === undefined ? [] : ['--values', join(exampleFolder, `${example}.yaml`)]
  const words = ['template', 'store', chartFolder, '--namespace', 'store', '--kube-version', kubernetes]
  const { status, stdout, stderr } = helm(...words, ...values, ...more)
  return { isGood: status === 0, text: stdout, errors: stderr }
}

export function lint(example?: string): Rendered {
  const values = example === undefined ? [] : ['--values', join(exampleFolder, `${example}.yaml`)]
  const { status, stdout, stderr } = helm('lint', '--strict', chartFolder, '--kube-version', kubernetes, ...values)
  return { isGood: status === 0, text: stdout, errors: stderr }
}

/** Where what Helm made of an example is kept, so that machines without Helm see it too. */
export const renderedFile = (example: string): string => join(renderedFolder, `${example}.yaml`)

/** YAML 1.1, as Kubernetes reads it: 0440 is octal. */
export function manifestsIn(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((each) => each.toJS() as Manifest | null)
    .filter((each) => each !== null)
}

export const manifestsOf = (example: string): readonly Manifest[] =>
  manifestsIn(readFileSync(renderedFile(example), 'utf8'))

export function statefulSetOf(manifests: readonly Manifest[]): StatefulSet {
  const found = manifests.find(({ kind }) => kind === 'StatefulSet')
  if (found === undefined) throw new Error('there is no StatefulSet')
  return found as StatefulSet
}

export const servicesOf = (manifests: readonly Manifest[]): readonly Service[] =>
  manifests.filter((each): each is Service => each.kind === 'Service')
