import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { answerSoon, encodeAnswer } from './slow-answer.ts'

const document = (text: string) => el('Result', text)
const headers = (text: string) => ({ 'x-text': text })

test('what finishes soon has a status and headers of its own, also where it fails', async () => {
  const answer = await answerSoon(Promise.resolve('quick'), 1000)
  assert.deepEqual(encodeAnswer(answer, document, headers), {
    status: 200,
    headers: { 'x-text': 'quick' },
    body: document('quick'),
  })
  await assert.rejects(answerSoon(Promise.reject(new Fault('InvalidPart')), 1000), Fault)
})

test('what takes long is answered by a document to come, and its failure with it', async () => {
  const slow = await answerSoon(wait(50, 'slow'), 5)
  const { later, body } = encodeAnswer(slow, document, headers)
  assert.equal(body, undefined)
  assert.deepEqual(await later, document('slow'))
  const failing = wait(50).then(() => {
    throw new Fault('InvalidPart')
  })
  const failed = encodeAnswer(await answerSoon(failing, 5), document, headers)
  await assert.rejects(failed.later ?? Promise.resolve(), Fault)
})
