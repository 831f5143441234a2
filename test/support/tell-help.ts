/** Where the command line of a check asks for help, it gets that, and nothing runs. */
export function tellHelp(text: string): void {
  if (!process.argv.includes('--help')) return
  process.stdout.write(text)
  process.exit(0)
}
