import { rename, rm, writeFile } from 'node:fs/promises'
import { envFile, kubernetesSecret, type SecretPlace } from '#src/model/app.ts'

/** An app's secrets as that place reads them. */
export const secretsText = (
  app: string,
  { to, namespace }: Pick<SecretPlace, 'to' | 'namespace'>,
  secrets: ReadonlyMap<string, string>,
): string => (to === 'env-file' ? envFile(secrets) : kubernetesSecret(`${app}-secrets`, namespace, secrets))

let deliveries = 0

/** Writes an app's secrets to a file of this machine: readable by its owner alone, and whole or not there. */
export async function deliver(app: string, place: SecretPlace, secrets: ReadonlyMap<string, string>): Promise<void> {
  const beside = `${place.file}.${process.pid}-${deliveries++}.tmp`
  try {
    await writeFile(beside, secretsText(app, place, secrets), { mode: 0o600, flag: 'wx' })
    await rename(beside, place.file)
  } finally {
    await rm(beside, { force: true })
  }
}
