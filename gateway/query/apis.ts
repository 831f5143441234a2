import { iamApi } from './iam/index.ts'
import type { QueryService } from './operation.ts'

/** The query APIs there are: one line each. The first one answers what belongs to none. */
export const queryApis: readonly [QueryService, ...QueryService[]] = [iamApi]
