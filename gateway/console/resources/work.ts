import { bodyText } from '#gateway/console/arguments.ts'
import type { Resource } from '#gateway/console/resource.ts'
import { Fault } from '#src/errors.ts'

const listedMost = 100

/** What waits to be done in this region, and what was given up. */
export const listWork: Resource = {
  method: 'GET',
  path: 'jobs',
  audience: 'administrator',
  run: async (_asked, { work }) => await work.list(listedMost),
}

export const retryJob: Resource = {
  method: 'POST',
  path: 'jobs/retry',
  audience: 'administrator',
  run: async (asked, { work }) => {
    const id = bodyText(asked, 'id')
    if (!/^([0-9a-f]{2}){1,64}$/.test(id) || !(await work.revive(id))) {
      throw new Fault('InvalidArgument', { message: 'There is no such job.', ArgumentName: 'id' })
    }
    return {}
  },
}
