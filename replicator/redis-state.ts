import { Redis } from 'ioredis'

export interface RedisState {
  /** Of one round trip. */
  readonly milliseconds: number
  readonly version: string
  /** What it does when its memory is full: only `noeviction` forgets no job. */
  readonly evictionPolicy: string
}

/** Rejects where it does not answer in time. */
export async function readRedisState(url: string, patience: number): Promise<RedisState> {
  const redis = new Redis(url, {
    connectTimeout: patience,
    commandTimeout: patience,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  // What it fails with is what the commands reject with.
  redis.on('error', () => {})
  try {
    await redis.connect()
    const began = performance.now()
    await redis.ping()
    const milliseconds = performance.now() - began
    const info = await redis.info()
    const field = (name: string): string => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? ''
    return { milliseconds, version: field('redis_version'), evictionPolicy: field('maxmemory_policy') }
  } finally {
    redis.disconnect()
  }
}
