import type { QueryService } from './operation.ts'
import { sns } from './sns/service.ts'

/** The query APIs there are: one line each. The first one answers what belongs to none. */
export const queryApis: readonly [QueryService, ...QueryService[]] = [
  { name: 'iam', namespace: 'https://iam.amazonaws.com/doc/2010-05-08/', version: '2010-05-08', operations: [] },
  sns,
]
