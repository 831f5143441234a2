import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { choice, conform, leaf, one, optional, parent, several, words } from './conform.ts'
import { parseXml } from './parse.ts'
import { renderPlain } from './render.ts'

const shape = parent({
  Id: one(leaf((text) => text.length < 4)),
  Kind: optional(words('a', 'b')),
  Filter: optional(choice({ Prefix: leaf(), Tag: parent({ Key: one(leaf()) }) })),
  Item: several(leaf(), 0, 2),
})

const read = (inside: string): string =>
  renderPlain(conform(parseXml(Buffer.from(`<Root>${inside}</Root>`), 'Root'), shape)).split('\n')[1] ?? ''

test('X3: a document that conforms comes back in the order of its shape', () => {
  assert.equal(
    read('<Item>1</Item><Kind>b</Kind><Item> 2</Item><Filter><Tag><Key>&lt;</Key></Tag></Filter><Id>x</Id>'),
    '<Root><Id>x</Id><Kind>b</Kind><Filter><Tag><Key>&lt;</Key></Tag></Filter><Item>1</Item><Item> 2</Item></Root>',
  )
})

test('X3: nothing more, nothing less, nothing else', () => {
  for (const [inside, code] of [
    ['', 'MalformedXML'],
    ['<Id>x</Id><Id>y</Id>', 'MalformedXML'],
    ['<Id>x</Id><Other/>', 'MalformedXML'],
    ['<Id>x</Id><toString/>', 'MalformedXML'],
    ['<Id><Id>x</Id></Id>', 'MalformedXML'],
    ['<Id>x</Id><Item/><Item/><Item/>', 'MalformedXML'],
    ['<Id>x</Id><Filter/>', 'MalformedXML'],
    ['<Id>x</Id><Filter><Prefix/><Tag><Key/></Tag></Filter>', 'MalformedXML'],
    ['<Id>x</Id><Filter>text</Filter>', 'MalformedXML'],
    ['<Id>long</Id>', 'InvalidArgument'],
    ['<Id>x</Id><Kind>c</Kind>', 'InvalidArgument'],
  ] as const) {
    assert.throws(
      () => read(inside),
      (error) => error instanceof Fault && error.code === code,
      inside,
    )
  }
})
