import type { Value } from './value.ts'

/** A query as it was written. */
export interface Query {
  /** Undefined: `*`. */
  readonly projections: readonly Projection[] | undefined
  readonly from: Source
  readonly where?: Expression
  readonly limit?: number
}

export interface Projection {
  readonly expression: Expression
  readonly alias?: string
}

export interface Source {
  /** What follows `S3Object`. */
  readonly steps: readonly Step[]
  readonly alias?: string
}

export type Step =
  | { readonly kind: 'name'; readonly name: string; readonly isQuoted: boolean }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'each' }

export type AggregateName = 'count' | 'sum' | 'avg' | 'min' | 'max'

export type CastType = 'bool' | 'int' | 'string' | 'float' | 'decimal' | 'timestamp'

export type Expression =
  | { readonly kind: 'literal'; readonly value: Value }
  | { readonly kind: 'path'; readonly steps: readonly Step[] }
  | { readonly kind: 'negate' | 'not'; readonly operand: Expression }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'like'; readonly operands: readonly Expression[] }
  | { readonly kind: 'between'; readonly operands: readonly [Expression, Expression, Expression] }
  | { readonly kind: 'in'; readonly value: Expression; readonly options: readonly Expression[] }
  | { readonly kind: 'is'; readonly operand: Expression; readonly what: 'null' | 'missing' }
  | {
      readonly kind: 'case'
      readonly subject?: Expression
      readonly branches: readonly { readonly when: Expression; readonly result: Expression }[]
      readonly otherwise?: Expression
    }
  | { readonly kind: 'cast'; readonly operand: Expression; readonly type: CastType }
  /** `part`: of a date, or which end is trimmed. */
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[]; readonly part?: string }
  /** Without an operand: `count(*)`. */
  | { readonly kind: 'aggregate'; readonly name: AggregateName; readonly operand?: Expression }
