/** Where regions are that people name after their airports, and the geography of each. */
interface Place {
  readonly latitude: number
  readonly longitude: number
  readonly geography: string
}

const places: Readonly<Record<string, Place>> = {
  ams: { latitude: 52, longitude: 5, geography: 'eur' },
  bom: { latitude: 19, longitude: 73, geography: 'apc' },
  fra: { latitude: 50, longitude: 9, geography: 'eur' },
  gru: { latitude: -23, longitude: -46, geography: 'sam' },
  iad: { latitude: 39, longitude: -77, geography: 'usa' },
  jnb: { latitude: -26, longitude: 28, geography: 'afr' },
  lhr: { latitude: 51, longitude: 0, geography: 'eur' },
  nrt: { latitude: 36, longitude: 140, geography: 'apc' },
  ord: { latitude: 42, longitude: -88, geography: 'usa' },
  sin: { latitude: 1, longitude: 104, geography: 'apc' },
  sjc: { latitude: 37, longitude: -122, geography: 'usa' },
  syd: { latitude: -34, longitude: 151, geography: 'apc' },
}

export const geographyOf = (region: string): string => places[region]?.geography ?? ''

const earthKilometres = 6_371
/** Light in glass goes 200 km in a millisecond, there and back, by cables that are half as long again as the way. */
const millisecondsPerKilometre = 0.015
/** Between regions of which nobody knows where they are. */
const unknownMilliseconds = 80

/** Of a round trip between two regions, as networks have it. */
export function roundTripOf(one: string, other: string): number {
  const [from, to] = [places[one], places[other]]
  if (from === undefined || to === undefined) return unknownMilliseconds
  const radians = (degrees: number): number => (degrees * Math.PI) / 180
  const [north, south] = [radians(from.latitude), radians(to.latitude)]
  const across = Math.cos(radians(from.longitude - to.longitude))
  const angle = Math.acos(Math.min(1, Math.sin(north) * Math.sin(south) + Math.cos(north) * Math.cos(south) * across))
  return Math.max(1, Math.round(angle * earthKilometres * millisecondsPerKilometre))
}
