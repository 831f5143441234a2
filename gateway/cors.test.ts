import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import type { CorsRule } from '#src/model/bucket.ts'
import { findRule, preflightHeaders, preflightQuestion, responseCorsHeaders } from './cors.ts'

const rule = (origins: string[], methods = ['GET'], more: Partial<CorsRule> = {}): CorsRule => ({
  allowedOrigins: origins,
  allowedMethods: methods,
  allowedHeaders: [],
  exposeHeaders: [],
  ...more,
})

const ask = (origin: string, method = 'GET', headers: string[] = []) => ({ origin, method, headers })

test('an origin fits with one star for any text', () => {
  const rules = [rule(['*suffix']), rule(['start*end']), rule(['prefix*']), rule(['*.put'], ['PUT'])]
  for (const origin of ['foo.suffix', 'startend', 'start1end', 'prefix', 'prefix.suffix']) {
    assert.ok(findRule(rules, ask(origin)) !== undefined, origin)
  }
  for (const origin of ['foo.bar', 'foo.suffix.get', '0start12end', 'bla.prefix', 'foo.put', 'sufix']) {
    assert.equal(findRule(rules, ask(origin)), undefined, origin)
  }
  assert.ok(findRule(rules, ask('foo.put', 'PUT')) !== undefined)
  assert.equal(findRule([rule(['ab*ba'])], ask('aba')), undefined)
})

test('headers asked for must all be allowed, without regard to case', () => {
  const rules = [rule(['*'], ['GET'], { allowedHeaders: ['x-amz-*', 'Content-Type'] })]
  assert.ok(findRule(rules, ask('o', 'GET', ['x-amz-date', 'content-type'])) !== undefined)
  assert.equal(findRule(rules, ask('o', 'GET', ['x-amz-date', 'authorization'])), undefined)
})

test('a rule for anybody says so, and another one names the origin and allows credentials', () => {
  assert.equal(responseCorsHeaders([rule(['*'])], ask('o'))['access-control-allow-origin'], '*')
  assert.equal(responseCorsHeaders([rule(['*'])], ask('o'))['access-control-allow-credentials'], undefined)
  const named = responseCorsHeaders(
    [rule(['o'], ['GET', 'PUT'], { exposeHeaders: ['etag'], maxAgeSeconds: 60 })],
    ask('o'),
  )
  assert.deepEqual(named, {
    'access-control-allow-origin': 'o',
    'access-control-allow-methods': 'GET, PUT',
    'access-control-expose-headers': 'etag',
    'access-control-max-age': '60',
    'access-control-allow-credentials': 'true',
    vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
  })
  assert.deepEqual(responseCorsHeaders(undefined, ask('o')), {})
})

test('a preflight is refused where it asks nothing, where there are no rules, and where none allows it', () => {
  const code = (expected: string) => (error: unknown) => error instanceof Fault && error.code === expected
  assert.throws(() => preflightQuestion({}), code('BadRequest'))
  assert.throws(() => preflightQuestion({ origin: 'o' }), code('BadRequest'))
  assert.throws(() => preflightHeaders(undefined, ask('o')), code('AccessForbidden'))
  assert.throws(() => preflightHeaders([rule(['p'])], ask('o')), code('AccessForbidden'))
  const question = preflightQuestion({
    origin: 'o',
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'X-A, x-b',
  })
  const answer = preflightHeaders([rule(['o'], ['GET'], { allowedHeaders: ['*'] })], question)
  assert.equal(answer['access-control-allow-headers'], 'x-a, x-b')
})
