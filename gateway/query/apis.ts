import { iamApi } from './iam/index.ts'
import type { QueryService } from './operation.ts'
import { sns } from './sns/service.ts'
import { stsApi } from './sts/operations.ts'

/** The query APIs there are: one line each. The first one answers what belongs to none. */
export const queryApis: readonly [QueryService, ...QueryService[]] = [iamApi, stsApi, sns]
