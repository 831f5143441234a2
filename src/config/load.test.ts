import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BadSettings, flagName, hasFlag, loadConfig, settingNames, settingsTable, variableName } from './load.ts'

test('defaults run a whole node', () => {
  const config = loadConfig({}, {})
  assert.equal(config.port, 9000)
  assert.equal(config.host, '127.0.0.1')
  assert.equal(config.data, './data')
  assert.equal(config.inlineBytesMax, 8192)
  assert.ok(Object.isFrozen(config))
})

test('a flag goes before its variable, and an empty variable is none', () => {
  assert.equal(loadConfig({ port: '1' }, { MERIDIAN_PORT: '2' }).port, 1)
  assert.equal(loadConfig({}, { MERIDIAN_PORT: '2' }).port, 2)
  assert.equal(loadConfig({}, { MERIDIAN_PORT: '' }).port, 9000)
})

test('all bad settings are named at once, by flag and variable', () => {
  const bad = {
    MERIDIAN_PORT: '70000',
    MERIDIAN_LOG_LEVEL: 'loud',
    MERIDIAN_HEADER_BYTES_MAX: '16',
    MERIDIAN_ACCESS_KEY: 'abc',
  }
  assert.throws(
    () => loadConfig({ workers: 'x' }, bad),
    (error: unknown) => {
      assert.ok(error instanceof BadSettings)
      for (const name of [
        '--port',
        'MERIDIAN_PORT',
        '--workers',
        '--log-level',
        '--header-bytes-max',
        'MERIDIAN_SECRET_KEY',
      ]) {
        assert.ok(error.message.includes(name), `${name} in: ${error.message}`)
      }
      return true
    },
  )
})

test('a zero stays a zero, and sizes have units', () => {
  assert.equal(loadConfig({ port: '0', drainSeconds: '0' }, {}).port, 0)
  assert.equal(loadConfig({ bodyRateMin: '0B' }, {}).bodyRateMin, 0)
  assert.equal(loadConfig({ headerBytesMax: '1MiB' }, {}).headerBytesMax, 1 << 20)
  assert.equal(loadConfig({ traceRatio: '0.01' }, {}).traceRatio, 0.01)
  assert.throws(() => loadConfig({ traceRatio: '1.5' }, {}), BadSettings)
  assert.deepEqual(loadConfig({ domains: 's3.example.org, other.example' }, {}).domains, [
    's3.example.org',
    'other.example',
  ])
})

test('secrets have no flag, and names are made alike', () => {
  assert.ok(!hasFlag('secretKey'))
  assert.equal(flagName('logLevel'), 'log-level')
  assert.equal(variableName('logLevel'), 'MERIDIAN_LOG_LEVEL')
  assert.ok(settingNames.includes('workers'))
})

test("the README's table is the schema's", () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const table = /<!-- settings -->\n([\s\S]*?)\n?<!-- \/settings -->/.exec(readme)?.[1]
  assert.equal(table, settingsTable())
})

test("the standard's variables stand behind ours, and headers are read as it has them", () => {
  const standard = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_SERVICE_NAME: 'theirs' }
  assert.equal(loadConfig({}, {}).traceEndpoint, undefined)
  assert.equal(loadConfig({}, standard).traceEndpoint, 'http://127.0.0.1:4318')
  assert.equal(loadConfig({}, { ...standard, MERIDIAN_TRACE_SERVICE: 'ours' }).traceService, 'ours')
  assert.equal(
    loadConfig({ traceService: 'given' }, { ...standard, MERIDIAN_TRACE_SERVICE: 'ours' }).traceService,
    'given',
  )
  const headers = (text: string) => loadConfig({}, { OTEL_EXPORTER_OTLP_HEADERS: text }).traceHeaders
  assert.deepEqual(headers('Authorization=Bearer%20x, api-key = y=z,'), { authorization: 'Bearer x', 'api-key': 'y=z' })
  for (const bad of ['x', 'a b=c', 'a=%ZZ', 'a=\u0001']) assert.throws(() => headers(bad), BadSettings, bad)
  assert.ok(!hasFlag('traceHeaders'))
})
