import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { printedDocuments, root } from './printed.ts'

/** `npm run documents`: prints the tables of docs/ anew from the code. */
for (const [file, { is, now }] of await printedDocuments()) {
  if (is === now) continue
  writeFileSync(join(root, file), now)
  process.stdout.write(`${file} was printed anew\n`)
}
