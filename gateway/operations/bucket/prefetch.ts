import type { Context } from '#gateway/operations/operation.ts'

/** Tigris' own: with `X-Tigris-Prefetch: true`, what a listing shows begins to move to the region that is asked. */
export function prefetchListed({ services, request }: Context, items: readonly { readonly key: string }[]): void {
  if (request.headers['x-tigris-prefetch'] !== 'true') return
  // Nobody waits for it.
  void services.prefetch?.(
    request.bucket,
    items.map(({ key }) => key),
  )
}
