import { LayoutUpgrade } from '#src/service/layout-upgrade.ts'
import { openFoundationStore } from '#src/store/foundationdb/open.ts'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { realWorld, type World } from '#src/world.ts'
import { testLayouts } from '../support/raised-layout.ts'

/**
 * Raises the layout of a store, a directory, or a cluster file and a prefix, until the fourth page: it says so within that page's transaction, and
 * stays there to be killed.
 */
const [place = '', prefix] = process.argv.slice(2)
const store =
  prefix === undefined
    ? await openLmdbStore({ path: place, world: realWorld })
    : await openFoundationStore({ world: realWorld, clusterFile: place, prefix, timeout: 60_000 })
// Lives no longer than whoever started it.
process.stdin.on('end', () => process.exit(1)).resume()
let pages = 0
const layouts = testLayouts(async () => {
  if (++pages < 4) return
  process.stdout.write('in the middle\n')
  await new Promise(() => undefined)
})
const world: World = {
  ...realWorld,
  sleep: (milliseconds, signal) => realWorld.sleep(milliseconds, signal, { ref: true }),
}
await new LayoutUpgrade({ store, world, layouts, report: () => {} }).run(new AbortController().signal)
