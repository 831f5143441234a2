import type { Keys } from './key-provider.ts'

/** Keys that are opened once they are asked for: whoever needs none can do without them. What opening throws, the asking does. */
export function lateKeys(open: () => Keys): Keys {
  let opened: Keys | undefined
  const keys = (): Keys => {
    opened ??= open()
    return opened
  }
  return {
    own: {
      current: () => keys().own.current(),
      generate: async (...asked) => await keys().own.generate(...asked),
      unwrap: async (...asked) => await keys().own.unwrap(...asked),
    },
    managed: {
      generate: async (...asked) => await keys().managed.generate(...asked),
      unwrap: async (...asked) => await keys().managed.unwrap(...asked),
    },
  }
}
