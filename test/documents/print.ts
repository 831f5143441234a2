import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { examples, render, renderedFile, whyNoHelm } from '../deploy/chart.ts'
import { printedDocuments, root } from './printed.ts'

/** `npm run documents`: prints the tables of docs/ anew from the code, and, where Helm is installed, what it makes of the chart. */
for (const [file, { is, now }] of await printedDocuments()) {
  if (is === now) continue
  writeFileSync(join(root, file), now)
  process.stdout.write(`${file} was printed anew\n`)
}

for (const example of whyNoHelm === false ? examples : []) {
  const { isGood, text, errors } = render(example)
  if (!isGood) throw new Error(errors)
  writeFileSync(renderedFile(example), text)
}
