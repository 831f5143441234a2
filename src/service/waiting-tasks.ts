import { readTasks, type Task } from '#src/metadata/task-records.ts'
import type { Store } from '#src/store/store.ts'

const tasksPerPage = 100

/** All work that waits, by lane. */
export async function* waitingTasks(store: Store): AsyncGenerator<Task> {
  let after: Task | undefined
  for (;;) {
    const start = after
    const page = await store.snapshot((snapshot) => readTasks(snapshot, start, tasksPerPage))
    yield* page
    after = page.at(-1)
    if (after === undefined) return
  }
}
