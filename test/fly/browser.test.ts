import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { type Browser, findBrowser, openBrowser } from '#compat/browser.ts'
import { password, useFly } from './harness.ts'
import { newVerifier, PlaneClient } from './plane-client.ts'

/** The pages of signing in, in a real browser: what its own rules make of forms, cookies and scripts is in no other test. */

const program = await findBrowser()
const skip = program === undefined ? 'NOT SHOWN: there is no Chromium here' : false
const patience = 60_000

const fly = useFly()
let browser: Browser | undefined

before(async () => {
  if (program !== undefined) browser = await openBrowser(program)
})
after(() => browser?.close())

test('V7: a person signs in by the form, lets flyctl in, and the page tells it the code', { skip }, async () => {
  assert.ok(browser !== undefined)
  const { page } = browser
  const ann = await fly().makePerson('ann', true)
  const told = Promise.withResolvers<URL>()
  const listener = createServer((request, response) => {
    told.resolve(new URL(request.url ?? '/', 'http://127.0.0.1'))
    response.end()
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  const timer = setTimeout(() => told.reject(new Error('the page told no code in time')), patience)
  try {
    const nobody = new PlaneClient(fly().origin, undefined)
    const { verifier, challenge } = newVerifier()
    const { value } = await nobody.call('POST /api/v1/cli_sessions', '/api/v1/cli_sessions', {
      name: 'host',
      state: 'its own & nobody’s',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      redirect_port: (listener.address() as AddressInfo).port,
    })
    await page.visit(String(value['auth_url']))
    assert.match(await page.address(), /\/login\?to=/)
    const typed = { email: ann.email, password }
    for (const [id, text] of Object.entries(typed)) {
      await page.evaluate(`document.getElementById('${id}').value = ${JSON.stringify(text)}`)
    }
    await page.loading(() => page.evaluate(`document.querySelector('button').click()`))
    assert.match(await page.text(), new RegExp(`wants to act as ${ann.email}`))
    await page.loading(() => page.evaluate(`document.querySelector('button').click()`))
    assert.match(await page.text(), /You are signed in/)
    const { searchParams } = await told.promise
    assert.equal(searchParams.get('state'), 'its own & nobody’s')
    const code = searchParams.get('code')
    assert.equal(await page.evaluate(`document.getElementById('code').textContent`), code)
    const path = `/api/v1/cli_sessions/${String(value['id'])}/redeem`
    const redeemed = await nobody.call('POST /api/v1/cli_sessions/{id}/redeem', path, { code, code_verifier: verifier })
    assert.equal(redeemed.status, 200)
    const flyctl = new PlaneClient(fly().origin, String(redeemed.value['access_token']))
    assert.deepEqual((await flyctl.get('anonymous viewer'))['viewer'], {
      id: ann.id,
      email: ann.email,
      enablePaidHobby: false,
    })
  } finally {
    clearTimeout(timer)
    listener.closeAllConnections()
    listener.close()
  }
})
