import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { flagName, hasFlag, loadConfig, settingNames, variableName } from '#src/config/load.ts'
import { root } from '../documents/printed.ts'

interface Service {
  readonly image: string
  readonly build?: string | { readonly target: string }
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly networks?: readonly string[]
  readonly healthcheck?: object
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly enable_ipv6: boolean }>>
  readonly volumes: Readonly<Record<string, object>>
}

const text = (file: string): string => readFileSync(join(root, file), 'utf8')
const compose = parse(text('docker-compose.yml'), { merge: true }) as Compose
const { services } = compose
const dockerfile = text('Dockerfile')
/** What is laid over it. */
const clustered = parse(text('docker-compose.foundationdb.yml'), { merge: true }) as Compose

/** Services that run `meridian serve`, by name, with their settings as the server itself reads them. */
const regions = Object.entries(services)
  .filter(([, { command }]) => command?.[0] === 'serve')
  .map(([name, service]) => ({ name, service, given: flagsOf(service.command ?? []) }))

function flagsOf(words: readonly string[]): Readonly<Record<string, string>> {
  const settings = new Map(settingNames.filter(hasFlag).map((name) => [flagName(name), name]))
  return Object.fromEntries(
    words.slice(1).map((word) => {
      const [, flag = '', value = ''] = /^--([a-z-]+)=(.+)$/.exec(word) ?? []
      const setting = settings.get(flag)
      assert.ok(setting !== undefined, `\`meridian serve\` has no flag ${word}`)
      return [setting, value]
    }),
  )
}

/** Where a service keeps what is under a path; undefined: nowhere that lasts. */
const keptIn = ({ volumes = [] }: Service, path: string): string | undefined =>
  volumes
    .map((each) => each.split(':'))
    .find(([, target = '']) => path === target || path.startsWith(`${target}/`))?.[0]

test('every region is started with settings that the server takes', () => {
  assert.deepEqual(
    regions.map(({ name }) => name),
    ['fra', 'iad', 'syd'],
  )
  for (const { name, service, given } of regions) {
    const variables = new Set(settingNames.map(variableName))
    for (const variable of Object.keys(service.environment ?? {})) assert.ok(variables.has(variable), variable)
    const config = loadConfig(given, {})
    assert.equal(config.region, name)
    assert.equal(config.peerUrl, `http://${name}:${config.peerPort}`)
    assert.equal(config.redis, `redis://${name}-redis:6379/0`)
    assert.equal(services[`${name}-redis`]?.image.split(':')[0], 'redis')
    // Names of others lead to IPv6 addresses as well as to IPv4.
    assert.equal(config.host, '::')
    assert.equal(config.metricsHost, '::')
    assert.equal(config.join, name === 'fra' ? undefined : 'http://fra:9100')
  }
})

test("what must last lies on volumes, one for each region, and the cluster's secrets on one for all", () => {
  const data = regions.map(({ service, given }) => keptIn(service, given['data'] ?? ''))
  assert.equal(new Set(data).size, regions.length)
  for (const volume of data) assert.ok(volume !== undefined && volume in compose.volumes, volume)
  for (const file of ['keyFile', 'clusterSecretFile'] as const) {
    const kept = new Set(regions.map(({ service, given }) => `${keptIn(service, given[file] ?? '')} ${given[file]}`))
    assert.equal(kept.size, 1)
    assert.ok([...kept][0]?.startsWith('shared '))
  }
  for (const [name, service] of Object.entries(services)) {
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':')
      assert.ok(
        source.startsWith('./') ? existsSync(join(root, source)) : source in compose.volumes,
        `${name}: ${volume}`,
      )
    }
  }
})

test('ports that are published are those that are listened on, of this machine alone, each once', () => {
  const published = Object.values(services).flatMap(({ ports = [] }) => ports)
  assert.equal(new Set(published.map((each) => each.split(':')[1])).size, published.length)
  for (const each of published) assert.ok(each.startsWith('127.0.0.1:'), each)
  for (const { service, given } of regions) {
    assert.deepEqual(
      service.ports?.map((each) => each.split(':')[2]),
      [given['port']],
    )
    for (const port of ['port', 'peerPort', 'metricsPort'] as const) {
      assert.match(dockerfile, new RegExp(`^EXPOSE .*\\b${given[port]}\\b`, 'm'))
    }
    // Metrics and what regions say to each other are for the network between them.
    assert.ok(
      !published.some((port) => port.endsWith(`:${given['metricsPort']}`) || port.endsWith(`:${given['peerPort']}`)),
    )
    assert.ok(JSON.stringify(service.healthcheck).includes(`localhost:${given['metricsPort']}/-/ready`))
  }
})

test('every service that goes on has a health check, an image of one version, and the network with IPv6', () => {
  assert.equal(compose.networks['regions']?.enable_ipv6, true)
  for (const [name, { image, healthcheck, networks, build }] of Object.entries(services)) {
    if (name === 'secret') continue
    assert.ok(healthcheck !== undefined, name)
    assert.deepEqual(networks, ['regions'], name)
    assert.ok(build === '.' || /:v?\d+\.\d+/.test(image), `${name}: ${image}`)
  }
  for (const [name, { depends_on: needs = {} }] of Object.entries(services)) {
    for (const [other, { condition }] of Object.entries(needs)) {
      assert.ok(other in services, other)
      assert.equal(condition, other === 'secret' ? 'service_completed_successfully' : 'service_healthy', name)
    }
  }
})

test('Prometheus scrapes every region where it tells metrics, and Grafana finds the dashboards', () => {
  const [{ targets = [] } = {}] = JSON.parse(text('deploy/prometheus/targets/compose.json')) as { targets?: string[] }[]
  assert.deepEqual(
    targets,
    regions.map(({ name, given }) => `${name}:${given['metricsPort']}`),
  )
  const grafana = services['grafana']
  const providers = parse(text('deploy/grafana/provisioning/dashboards/meridian.yml')) as {
    providers: { options: { path: string } }[]
  }
  const path = providers.providers[0]?.options.path ?? ''
  assert.equal(grafana && keptIn(grafana, path), './deploy/grafana/dashboards')
  assert.equal(globSync('*.json', { cwd: join(root, 'deploy/grafana/dashboards') }).length, 4)
  const home = grafana?.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? ''
  assert.ok(existsSync(join(root, home.replace('/etc', 'deploy'))), home)
  const { datasources } = parse(text('deploy/grafana/provisioning/datasources/prometheus.yml')) as {
    datasources: { url: string }[]
  }
  assert.equal(datasources[0]?.url, 'http://prometheus:9090')
  assert.ok('prometheus' in services)
})

test('the image runs as nobody special, what the server runs, and all of it', () => {
  const user = [...dockerfile.matchAll(/^USER (\S+)$/gm)].at(-1)?.[1]
  assert.match(user ?? '', /^[1-9]\d*:[1-9]\d*$/)
  const ignored = text('.dockerignore').split('\n')
  for (const [, folder = ''] of dockerfile.matchAll(/^COPY (\w+) \w+$/gm))
    assert.ok(ignored.includes(`!${folder}`), folder)
  // Folders that the program itself imports from.
  const { imports } = JSON.parse(text('package.json')) as { imports: Record<string, string> }
  const needed = Object.values(imports)
    .map((each) => each.split('/')[1] ?? '')
    .filter((each) => each !== 'compat')
  for (const folder of [...needed, 'bin']) assert.match(dockerfile, new RegExp(`^COPY ${folder} ${folder}$`, 'm'))
})

test("with FoundationDB every region's metadata is in a cluster of its own, of the version that the image has the library of", () => {
  const [, built] = /^ARG FOUNDATIONDB=([\d.]+)$/m.exec(dockerfile) ?? []
  assert.ok(built !== undefined)
  const version = `foundationdb/foundationdb:${built}`
  const [, library] = /^FROM foundationdb\/foundationdb:\$\{FOUNDATIONDB\} AS (\w+)$/m.exec(dockerfile) ?? []
  const [, target, from] = /^FROM meridian AS ([\w-]+)\nCOPY --from=(\w+) \S*libfdb_c\.so /m.exec(dockerfile) ?? []
  assert.ok(from !== undefined && from === library)
  const volumes = new Set<string | undefined>()
  const addresses = new Set<string | undefined>()
  for (const { name } of regions) {
    const [over, cluster, configure] = ['', '-foundationdb', '-configure'].map(
      (part) => clustered.services[`${name}${part}`],
    )
    assert.ok(over !== undefined && cluster !== undefined && configure !== undefined, name)
    const given = Object.entries(over.environment ?? {}).map(([variable, value]) => [
      settingNames.find((each) => variableName(each) === variable),
      value,
    ])
    const config = loadConfig(Object.fromEntries(given), {})
    assert.equal(config.metadata, 'foundationdb')
    // Gateways may rewrite their file; what the other makes, both have.
    const gateway = keptIn(over, config.fdbClusterFile)
    assert.ok(gateway !== undefined && gateway === keptIn(configure, '/gateway'))
    assert.equal(keptIn(configure, '/cluster'), keptIn(cluster, '/cluster'))
    assert.equal(over.depends_on?.[`${name}-configure`]?.condition, 'service_completed_successfully')
    assert.equal(over.depends_on?.[`${name}-foundationdb`]?.condition, 'service_healthy')
    assert.ok(typeof over.build === 'object' && over.build.target === target)
    assert.equal(cluster.image, version)
    assert.equal(configure.image, version)
    addresses.add(cluster.environment?.['ADDRESS'])
    for (const volume of [gateway, keptIn(cluster, '/cluster'), keptIn(cluster, '/var/fdb/data')]) volumes.add(volume)
  }
  assert.equal(addresses.size, regions.length)
  assert.equal(volumes.size, 3 * regions.length)
  assert.deepEqual([...volumes].sort(), Object.keys(clustered.volumes).sort())
})

for (const files of [['docker-compose.yml'], ['docker-compose.yml', 'docker-compose.foundationdb.yml']]) {
  test(`docker-compose itself takes ${files.join(' and ')}`, {
    skip: spawnSync('docker-compose', ['version']).status !== 0 && 'there is no docker-compose here',
  }, () => {
    const words = [...files.flatMap((each) => ['-f', each]), 'config', '--quiet']
    const { status, stderr } = spawnSync('docker-compose', words, { cwd: root, encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  })
}
