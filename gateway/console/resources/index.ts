import type { Resource } from '#gateway/console/resource.ts'
import { discardConflict, listConflicts, restoreConflict } from './conflicts.ts'
import { copies } from './copies.ts'
import { deleteLetters, listLetters, retryLetters } from './letters.ts'
import { regions } from './regions.ts'
import { session } from './session.ts'
import { settings } from './settings.ts'
import { discardJob, listWork, retryJob } from './work.ts'

export const allResources: readonly Resource[] = [
  session,
  copies,
  listConflicts,
  restoreConflict,
  discardConflict,
  regions,
  listWork,
  retryJob,
  discardJob,
  listLetters,
  retryLetters,
  deleteLetters,
  settings,
]
