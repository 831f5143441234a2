import { isFields } from '#src/model/provision.ts'

const patienceMilliseconds = 30_000

const mutation = 'mutation SetSecrets($input: SetSecretsInput!) { setSecrets(input: $input) { release { id } } }'

/** Sets the secrets of an app at Fly, by its own API. Rejects with what it said. */
export async function sendSecrets(options: {
  readonly api: string
  readonly token: string
  readonly app: string
  readonly secrets: ReadonlyMap<string, string>
}): Promise<void> {
  const { api, token, app, secrets } = options
  const list = [...secrets].map(([key, value]) => ({ key, value }))
  const variables = { input: { appId: app, replaceAll: false, secrets: list } }
  const response = await fetch(`${api}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query: mutation, operationName: 'SetSecrets', variables }),
    redirect: 'error',
    signal: AbortSignal.timeout(patienceMilliseconds),
  })
  const value: unknown = await response.json().catch(() => undefined)
  const errors = isFields(value) && Array.isArray(value['errors']) ? (value['errors'] as readonly unknown[]) : []
  const [first] = errors
  if (response.ok && isFields(value) && first === undefined) return
  const said = isFields(first) ? String(first['message']) : `it answered ${response.status}`
  throw new Error(`the secrets were not taken: ${said}`)
}
