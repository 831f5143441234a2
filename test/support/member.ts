import type { Member } from '#src/model/region.ts'

/** A cell of which nothing but its region, its number and its state matters. */
export const memberIn = (region: string, cell: number, state: Member['state'] = 'active'): Member => ({
  region,
  cell,
  state,
  geography: '',
  incarnation: '',
  peer: '',
})
