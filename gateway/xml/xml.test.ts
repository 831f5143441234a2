import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { processorTime } from '../../test/support/processor-time.ts'
import {
  all,
  attribute,
  boolean,
  integer,
  listLimits,
  only,
  optionalText,
  parseXml,
  text,
  texts,
  value,
} from './parse.ts'
import { el, elWith, render } from './render.ts'

const bytes = (document: string): Uint8Array => new TextEncoder().encode(document)
const parse = (document: string, root = 'R') => parseXml(bytes(document), root)

const isMalformed = (error: unknown): boolean => error instanceof Fault && error.code === 'MalformedXML'
const refuses = (document: string, why = document): void => {
  assert.throws(() => parse(document), isMalformed, why.slice(0, 100))
}

test('X2: text is what was written', () => {
  for (const written of ['00123', '1e3', '0x10', 'true', ' a ', '  ', '\t\n', '-0', 'null', ']]&gt;']) {
    const expected = written.replace('&gt;', '>')
    assert.equal(text(parse(`<R><Key>${written}</Key></R>`), 'Key'), expected)
    assert.equal(
      text(parse(`<R><Key><![CDATA[${written}]]></Key></R>`.replace(']]&gt;', '')), 'Key'),
      expected.replace(']]>', ''),
    )
  }
  assert.equal(text(parse('<R><Key/></R>'), 'Key'), '')
  assert.equal(text(parse('<R><Key>a<!-- b -->c&#x41;&amp;&#10;</Key></R>'), 'Key'), 'acA&\n')
})

test('X2: every text that XML can carry survives rendering and parsing', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what XML 1.0 cannot carry
  const isLegal = (each: string) => each.isWellFormed() && !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(each)
  const any = fc.string({
    unit: fc.oneof(fc.constantFrom('<', '&', '\r', '\n', ' ', ']]>'), fc.string({ unit: 'binary', maxLength: 1 })),
  })
  fc.assert(
    fc.property(any.filter(isLegal), (each) => {
      assert.equal(text(parse(render(el('R', el('Key', each)))), 'Key'), each)
    }),
    { numRuns: 500 },
  )
  // What XML cannot carry, boto3 sends as it is.
  assert.equal(text(parse('<R><Key>\x01\x1f</Key></R>'), 'Key'), '\x01\x1f')
})

test('elements are found by name, whatever the prefix and the namespace', () => {
  const root = parse('<a:R xmlns:a="urn:x" xmlns="urn:y"><a:Key>1</a:Key><Key>2</Key><_>3</_></a:R>')
  assert.deepEqual(texts(root, 'Key').toSorted(), ['1', '2'])
  assert.equal(text(root, '_'), '3')
  const grantee = parse(
    '<R xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>x</ID></R>',
  )
  assert.equal(attribute(grantee, 'type'), 'CanonicalUser')
})

test('what a verb does not find as it must be is MalformedXML', () => {
  const root = parse('<R><A>1</A><B>x</B><B>y</B><C><D>1</D></C><E>TRUE</E><F>-1</F><G>1.5</G></R>')
  for (const bad of [
    () => text(root, 'Z'),
    () => text(root, 'B'),
    () => text(root, 'C'),
    () => optionalText(root, 'B'),
    () => integer(root, 'A', 2, 3),
    () => integer(root, 'B', 0, 9),
    () => integer(root, 'F', -5, 9),
    () => integer(root, 'G', 0, 9),
    () => boolean(root, 'A'),
    () => only(root, 'A'),
  ]) {
    assert.throws(bad, isMalformed)
  }
  assert.equal(integer(root, 'A', 1, 1), 1)
  assert.equal(boolean(root, 'E'), true)
  assert.equal(all(root, 'B').map(value).join(), 'x,y')
})

test('what is no document of that root is refused', () => {
  for (const bad of [
    '',
    ' ',
    'text',
    '<R>',
    '<R></S>',
    '<R/><R/>',
    '<R>&x;</R>',
    '<R>&#xD800;</R>',
    '<R a=b/>',
    '<R><__proto__>x</__proto__></R>',
    '<R><constructor>x</constructor></R>',
    '<R/>x',
    '<R><A>x</A>loose</R>',
  ]) {
    refuses(bad)
  }
  refuses('<S/>')
  assert.throws(() => parseXml(Uint8Array.of(0xff, 0xfe, 0x3c, 0), 'R'), isMalformed, 'UTF-16')
  refuses('<?xml version="1.0" encoding="UTF-16"?><R/>')
  assert.equal(parse('\ufeff<?xml version="1.0" encoding="utf-8"?>\n<R/>\n').name, 'R')
})

test('X1: what could cost more than it is worth is refused at once', () => {
  const lol = '<!DOCTYPE R [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><R>&b;</R>'
  const bombs: Record<string, string> = {
    'billion laughs': lol,
    'external entity': '<!DOCTYPE R SYSTEM "file:///etc/passwd"><R/>',
    'lower-case doctype': '<!doctype R><R/>',
    deep: '<R>'.repeat(100_000),
    'deep and closed': '<R>'.repeat(11) + '</R>'.repeat(11),
    'many elements': `<R>${'<a/>'.repeat(200_000)}</R>`,
    'many attributes': `<R ${Array.from({ length: 100_000 }, (_, at) => `a${at}=""`).join(' ')}/>`,
    'many comments': `<R>${'<!---->'.repeat(100_000)}</R>`,
    'a long tag': `<R ${' '.repeat(1_000_000)}/>`,
    'a long name': `<${'R'.repeat(1_000_000)}/>`,
    'an open comment': `<R><!--${'-'.repeat(1_000_000)}`,
    'many open angles': '<'.repeat(1_000_000),
    'too many bytes': `<R>${'a'.repeat(1 << 20)}</R>`,
  }
  for (const [name, bomb] of Object.entries(bombs)) {
    const encoded = bytes(bomb)
    const took = processorTime(() => assert.throws(() => parseXml(encoded, 'R'), isMalformed, name))
    // On a slow machine; what is not linear takes seconds anywhere.
    assert.ok(took < 500, `${name}: ${took} ms`)
  }
})

test('X1: the longest documents that clients send are read', () => {
  const object = (at: number) =>
    `<Object><Key>${'k'.repeat(1_018)}${String(at).padStart(6, '0')}</Key><VersionId>1</VersionId></Object>`
  const deletion = bytes(`<Delete>${Array.from({ length: 1_000 }, (_, at) => object(at)).join('')}</Delete>`)
  const objects = all(parseXml(deletion, 'Delete', listLimits), 'Object')
  assert.equal(objects.length, 1_000)
  assert.ok(text(objects[999] ?? assert.fail(), 'Key').endsWith('000999'))
  const part = (at: number) =>
    `<Part><PartNumber>${at}</PartNumber><ETag>"${'e'.repeat(32)}"</ETag><ChecksumSHA256>${'c'.repeat(44)}</ChecksumSHA256></Part>`
  const completion = bytes(`<C>${Array.from({ length: 10_000 }, (_, at) => part(at + 1)).join('')}</C>`)
  assert.equal(all(parseXml(completion, 'C', listLimits), 'Part').length, 10_000)
})

test('X1: whatever the bytes, the parser gives a tree or MalformedXML', () => {
  const pieces = [
    '<',
    '>',
    '/',
    '<R>',
    '</R>',
    '<A>',
    '</A>',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '<?',
    '?>',
    '"',
    "'",
    '=',
    '&',
    ';',
    '&lt;',
    '&#0;',
    '<R a="',
    ' ',
    'x',
    '\0',
    '\ud800',
    '<!DOCTYPE',
    ':',
    'xmlns',
  ]
  const soup = fc.array(fc.constantFrom(...pieces)).map((each) => each.join(''))
  const check = (encoded: Uint8Array): void => {
    try {
      assert.equal(parseXml(encoded, 'R').name, 'R')
    } catch (error) {
      if (!isMalformed(error)) throw error
    }
  }
  fc.assert(
    fc.property(soup, (each) => check(bytes(each))),
    { numRuns: 3_000 },
  )
  fc.assert(
    fc.property(soup, (each) => check(bytes(`<R>${each}</R>`))),
    { numRuns: 3_000 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), check), { numRuns: 1_000 })
})

test('documents are rendered with escapes, attributes and the namespace', () => {
  const grantee = elWith('Grantee', { 'xsi:type': 'a"b' }, el('ID', 'x'))
  assert.equal(
    render(el('R', el('A', '<&>"\r\0\uffff'), undefined, el('B', 1, true), grantee)),
    '<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      '<A>&lt;&amp;&gt;&quot;&#13;&#0;&#65535;</A><B>1true</B><Grantee xsi:type="a&quot;b"><ID>x</ID></Grantee></R>',
  )
  assert.match(render(el('R', '\ud800')), /\ufffd/)
  assert.match(render(el('R', ']]>')), /\]\]&gt;/)
})
