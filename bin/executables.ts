import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Those of the path, and where packages put what is not for everybody's. */
const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/usr/local/sbin', '/usr/sbin']

/** Where a program is that is installed; undefined: nowhere. */
export const findExecutable = (name: string): string | undefined =>
  places.map((place) => join(place, name)).find(isExecutable)

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
