import { bodyText } from '#gateway/console/arguments.ts'
import type { Asked, Resource } from '#gateway/console/resource.ts'
import { Fault } from '#src/errors.ts'

const listedMost = 100

/** What waits to be done in this region, and what was given up. */
export const listWork: Resource = {
  method: 'GET',
  path: 'jobs',
  audience: 'administrator',
  run: async (_asked, { work }) => await work.list(listedMost),
}

function idOf(asked: Asked): string {
  const id = bodyText(asked, 'id')
  if (!/^([0-9a-f]{2}){1,64}$/.test(id)) throw noJob()
  return id
}

const noJob = (): Fault => new Fault('InvalidArgument', { message: 'There is no such job.', ArgumentName: 'id' })

/** Tries a job at once, that waits or was given up. */
export const retryJob: Resource = {
  method: 'POST',
  path: 'jobs/retry',
  audience: 'administrator',
  run: async (asked, { jobs }) => {
    if ((await jobs.retry({ id: idOf(asked) })) === 0) throw noJob()
    return {}
  },
}

/** Forgets a job, whose work is then never done. */
export const discardJob: Resource = {
  method: 'POST',
  path: 'jobs/discard',
  audience: 'administrator',
  run: async (asked, { jobs }) => {
    if ((await jobs.discard({ id: idOf(asked) })) === 0) throw noJob()
    return {}
  },
}
