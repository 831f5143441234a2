import type { Layouts } from './layout-records.ts'

/**
 * The layouts of a cell's rows that this version knows. A step is added at the end, with the program that reads rows before it and after it;
 * steps go from the beginning, with `oldest` raised, once nobody starts from what they lead away from.
 */
export const layouts: Layouts = { oldest: 1, steps: [] }
