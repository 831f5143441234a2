import type { ManagedPolicy } from './iam.ts'

/**
 * Policies that AWS keeps for everyone, by the names under which tools ask for them; about what there is here.
 * https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
 */
const allow = (action: string | readonly string[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: action, Resource: '*' }] })

const documents: Readonly<Record<string, string>> = {
  AdministratorAccess: allow('*'),
  AmazonS3FullAccess: allow(['s3:*', 's3-object-lambda:*']),
  AmazonS3ReadOnlyAccess: allow([
    's3:Get*',
    's3:List*',
    's3:Describe*',
    's3-object-lambda:Get*',
    's3-object-lambda:List*',
  ]),
  AmazonSNSFullAccess: allow('sns:*'),
  AmazonSNSReadOnlyAccess: allow([
    'sns:GetTopicAttributes',
    'sns:List*',
    'sns:CheckIfPhoneNumberIsOptedOut',
    'sns:GetEndpointAttributes',
  ]),
  IAMFullAccess: allow([
    'iam:*',
    'organizations:DescribeAccount',
    'organizations:DescribeOrganization',
    'organizations:List*',
  ]),
  IAMReadOnlyAccess: allow([
    'iam:GenerateCredentialReport',
    'iam:GenerateServiceLastAccessedDetails',
    'iam:Get*',
    'iam:List*',
    'iam:SimulateCustomPolicy',
    'iam:SimulatePrincipalPolicy',
  ]),
}

const prefix = 'arn:aws:iam::aws:policy/'

/** By ARN. */
export const awsPolicies: ReadonlyMap<string, ManagedPolicy> = new Map(
  Object.entries(documents).map(([name, document]) => [
    `${prefix}${name}`,
    {
      name,
      path: '/',
      id: `ANPA${Buffer.from(name).toString('hex').toUpperCase().padEnd(16, '0').slice(0, 16)}`,
      created: 0,
      updated: 0,
      versions: [{ id: 'v1', document, created: 0 }],
      defaultVersion: 'v1',
      versionsMade: 1,
      tags: [],
    },
  ]),
)
