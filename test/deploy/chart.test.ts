import assert from 'node:assert/strict'
import { lstatSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { loadConfig, settingNames, variableName } from '#src/config/load.ts'
import { chartSettings } from '../documents/chart-schema.ts'
import { root } from '../documents/printed.ts'
import { chartFolder, examples, manifestsOf, servicesOf, statefulSetOf } from './chart.ts'
import { configOf, variablesOf } from './pod.ts'

/** What Helm made of the examples, without Helm: rendered.test.ts sees that it would make the same today. */
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
const all = examples.map((name) => {
  const manifests = manifestsOf(name)
  const set = statefulSetOf(manifests)
  const pod = set.spec.template.spec
  return {
    name,
    manifests,
    set,
    pod,
    container: pod.containers[0],
    config: configOf(set),
    services: servicesOf(manifests),
  }
})

test('there is an example of each way to run a region', () => {
  assert.deepEqual(examples, ['alone', 'first-region', 'foundationdb', 'ipv6-only', 'joining-region'])
})

test('every variable is a setting, and the server takes all of them together', () => {
  const known = new Set([...settingNames.map(variableName), 'POD_NAME'])
  for (const { name, container, config } of all) {
    for (const each of container.env ?? []) assert.ok(known.has(each.name), `${name}: ${each.name}`)
    const names = (container.env ?? []).map((each) => each.name)
    assert.equal(new Set(names).size, names.length, `${name}: a variable is given twice`)
    assert.deepEqual(container.args, ['serve'])
    assert.equal(config.drainSeconds, 30)
  }
  const of = (name: string) => all.find((each) => each.name === name)?.config
  assert.equal(of('first-region')?.durabilityRegions, 2)
  assert.equal(of('first-region')?.peerUrl, of('joining-region')?.join)
  assert.equal(of('foundationdb')?.nodeUrl, 'http://store-meridian-1.store-meridian-nodes.store.svc.cluster.local:9100')
  assert.equal(of('ipv6-only')?.redis, 'redis://[fd00:10:96::12]:6379/0')
})

test('the chart takes every other setting under `settings`, and none of its own twice', () => {
  const own = new Set(all.flatMap(({ set }) => Object.keys(variablesOf(set))))
  const template = readFileSync(join(chartFolder, 'templates/_settings.tpl'), 'utf8')
  const written = new Set([...template.matchAll(/name: (MERIDIAN_[A-Z_]+)$/gm)].map(([, name = '']) => name))
  for (const name of settingNames) {
    const isGiven = chartSettings.includes(name)
    assert.ok(!(isGiven && written.has(variableName(name))), `${name} is the chart's own`)
  }
  for (const name of written)
    assert.ok(own.has(name) || /FDB_DATACENTER|_REDIS$/.test(name), `${name} is in no example`)
})

test('what is listened on is what is told: ports, Services, probes, policies', () => {
  for (const { name, container, config, services, manifests } of all) {
    const ports = new Map(container.ports?.map((each) => [each.name, each.containerPort]))
    const wanted = {
      s3: config.port,
      metrics: config.metricsPort,
      ...(config.tlsPort !== undefined && { 's3-tls': config.tlsPort }),
      ...(config.clusterSecretFile !== undefined && { peers: config.peerPort }),
    }
    assert.deepEqual(Object.fromEntries(ports), wanted, name)
    for (const port of ports.values()) assert.match(dockerfile, new RegExp(`^EXPOSE .*\\b${port}\\b`, 'm'))
    for (const { metadata, spec } of services) {
      for (const { targetPort } of spec.ports) assert.ok(ports.has(targetPort), `${metadata.name}: ${targetPort}`)
    }
    for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
      assert.equal(probe?.httpGet.port, 'metrics')
      assert.ok(probe.timeoutSeconds >= 5, 'workers have five seconds to answer')
    }
    const policy = JSON.stringify(manifests.find(({ kind }) => kind === 'NetworkPolicy'))
    for (const [, port = ''] of policy.matchAll(/"port":"([^"]+)"/g)) assert.ok(ports.has(port), port)
    // The whole of a joining: asking the root, and copying from it.
    const { startupProbe } = container
    assert.ok((startupProbe?.periodSeconds ?? 0) * (startupProbe?.failureThreshold ?? 0) >= 600)
  }
})

test('what others are told of a region leads to its nodes', () => {
  for (const { name, set, config, services } of all) {
    const selected = set.spec.template.metadata.labels
    for (const { spec } of services) {
      for (const [label, value] of Object.entries(spec.selector)) assert.equal(selected[label], value, label)
    }
    const nodes = services.find(({ metadata }) => metadata.name === set.spec.serviceName)
    assert.equal(nodes?.spec.clusterIP, 'None', name)
    assert.equal(nodes.spec.publishNotReadyAddresses, true)
    const isClustered = config.clusterSecretFile !== undefined
    const peers = services.find(({ metadata }) => metadata.name === `${set.metadata.name}-peers`)
    assert.equal(peers !== undefined, isClustered)
    if (config.peerUrl?.includes('.svc.')) {
      const { hostname, port } = new URL(config.peerUrl)
      assert.equal(hostname, `${peers?.metadata.name}.store.svc.cluster.local`)
      assert.equal(Number(port), peers?.spec.ports[0]?.port)
    }
    assert.equal(set.spec.replicas > 1, config.metadata === 'foundationdb')
  }
})

test('every path of a setting is on a mount, writable where the server writes, and every volume comes from somewhere', () => {
  for (const { name, set, pod, container, config } of all) {
    const mountOf = (path: string) =>
      container.volumeMounts.find(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))
    for (const path of [config.data, ...config.volumes, '/tmp']) {
      assert.ok(mountOf(path) !== undefined && mountOf(path)?.readOnly !== true, `${name}: ${path}`)
    }
    const files = [config.keyFile, config.clusterSecretFile, config.tlsCertificates, config.fdbTlsKey]
    for (const path of files.filter((each) => each !== undefined)) {
      const mount = mountOf(path)
      assert.equal(mount?.readOnly, true, `${name}: ${path}`)
      const items = pod.volumes.find((each) => each.name === mount.name)?.secret?.items
      const isThere = items === undefined || path === mount.mountPath
      assert.ok(isThere || items.some((each) => path === `${mount.mountPath}/${each.path}`), `${name}: ${path}`)
    }
    if (config.tlsCertificates !== undefined) {
      const items = pod.volumes.find((each) => each.name === mountOf(config.tlsCertificates ?? '')?.name)?.secret?.items
      // The pair that the server shows to hosts that have none of their own.
      assert.deepEqual(
        items?.map(({ path }) => path),
        ['default.crt', 'default.key'],
      )
    }
    if (config.metadata === 'foundationdb') {
      // The client rewrites it: not where a Secret or ConfigMap is mounted.
      const mount = mountOf(config.fdbClusterFile)
      assert.ok(pod.volumes.find((each) => each.name === mount?.name)?.emptyDir !== undefined)
      assert.ok(pod.initContainers?.[0]?.command?.at(-1)?.includes(`> ${config.fdbClusterFile}`))
    }
    const sources = new Set([
      ...pod.volumes.map((each) => each.name),
      ...set.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name),
    ])
    for (const { volumeMounts } of [container, ...(pod.initContainers ?? [])]) {
      for (const mount of volumeMounts) assert.ok(sources.has(mount.name), `${name}: ${mount.name}`)
    }
  }
})

test('nobody special runs it: no root, nothing writable but volumes, no capabilities, no token of Kubernetes', () => {
  const [, user, group] = /^USER (\d+):(\d+)$/m.exec(dockerfile) ?? []
  for (const { pod, container } of all) {
    const { securityContext: of } = pod
    assert.deepEqual([of.runAsNonRoot, of.seccompProfile.type], [true, 'RuntimeDefault'])
    assert.deepEqual([of.runAsUser, of.runAsGroup, of.fsGroup], [Number(user), Number(group), Number(group)])
    for (const { securityContext } of [container, ...(pod.initContainers ?? [])]) {
      assert.equal(securityContext.allowPrivilegeEscalation, false)
      assert.equal(securityContext.readOnlyRootFilesystem, true)
      assert.deepEqual(securityContext.capabilities.drop, ['ALL'])
    }
    assert.equal(pod.automountServiceAccountToken, false)
  }
})

test('variables that Kubernetes makes of Services are not taken for settings', () => {
  // A Service `meridian` has others' pods get MERIDIAN_PORT=tcp://10.0.0.1:9000, which no port is.
  assert.throws(() => loadConfig({}, { MERIDIAN_PORT: 'tcp://10.0.0.1:9000' }), /--port/)
  for (const { pod } of all) assert.equal(pod.enableServiceLinks, false)
})

test('a pod is given the time that a stop takes', () => {
  for (const { pod, container, config } of all) {
    const [sleep, seconds] = container.lifecycle?.preStop.exec.command ?? []
    assert.equal(sleep, 'sleep')
    assert.ok(Number(seconds) > 0)
    assert.ok(pod.terminationGracePeriodSeconds >= config.drainSeconds + Number(seconds) + 10)
  }
})

test('addresses are of the families that were asked for', () => {
  for (const { name, services } of all) {
    for (const { spec } of services) {
      const isSingle = name === 'ipv6-only'
      assert.equal(spec.ipFamilyPolicy, isSingle ? 'SingleStack' : 'PreferDualStack')
      assert.deepEqual(spec.ipFamilies, isSingle ? ['IPv6'] : undefined)
    }
  }
})

test('alerts and dashboards are those of deploy/, and no second ones', () => {
  for (const [link, target] of [
    ['files/rules.yml', 'deploy/prometheus/rules.yml'],
    ['files/dashboards', 'deploy/grafana/dashboards'],
  ] as const) {
    assert.ok(lstatSync(join(chartFolder, link)).isSymbolicLink())
    assert.equal(realpathSync(join(chartFolder, link)), realpathSync(join(root, target)))
  }
  const { appVersion } = parse(readFileSync(join(chartFolder, 'Chart.yaml'), 'utf8')) as { appVersion: string }
  assert.equal(
    appVersion,
    (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
  )
})

test('values.yaml says all that the schema knows, and the schema all that it says', () => {
  interface Schema {
    readonly properties?: Readonly<Record<string, Schema>>
    readonly additionalProperties?: unknown
  }
  const schema = JSON.parse(readFileSync(join(chartFolder, 'values.schema.json'), 'utf8')) as Schema
  const compare = (path: string, { properties }: Schema, value: unknown): void => {
    if (properties === undefined || path === '.settings') return
    const known = Object.keys(properties).filter((each) => each !== 'global')
    assert.deepEqual(Object.keys(value as object).sort(), known.sort(), path)
    for (const each of known)
      compare(`${path}.${each}`, properties[each] ?? {}, (value as Record<string, unknown>)[each])
  }
  compare('', schema, parse(readFileSync(join(chartFolder, 'values.yaml'), 'utf8')))
})
