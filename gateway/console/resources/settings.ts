import type { Resource } from '#gateway/console/resource.ts'

/** The settings of this node, but its secrets. */
export const settings: Resource = {
  method: 'GET',
  path: 'settings',
  audience: 'administrator',
  run: async (_asked, console) => ({ settings: console.settings }),
}
