import { el } from '#gateway/xml/render.ts'
import { providerArn } from '#src/model/iam.ts'
import { dateText, members, tagList } from './documents.ts'
import { anything, iamOperation } from './operation.ts'

const named = ({ arn }: { readonly arn: string }) => ({ arn })

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html */
export const createProvider = iamOperation({
  name: 'CreateOpenIDConnectProvider',
  decode: (parameters) => ({
    url: parameters.needed('Url'),
    clients: parameters.list('ClientIDList') ?? [],
    thumbprints: parameters.list('ThumbprintList') ?? [],
    tags: parameters.pairs('Tags'),
  }),
  target: ({ url }, { realm }) => ({ arn: providerArn(realm, url) }),
  tags: ({ tags }) => tags,
  run: (input, { iam, realm }) => iam.providers.create(realm, input),
  encode: (arn, _context, { tags }) => [
    el('OpenIDConnectProviderArn', arn),
    tags.length > 0 ? tagList(tags) : undefined,
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetOpenIDConnectProvider.html */
export const getProvider = iamOperation({
  name: 'GetOpenIDConnectProvider',
  decode: (parameters) => ({ arn: parameters.needed('OpenIDConnectProviderArn') }),
  target: named,
  run: ({ arn }, { iam, realm }) => iam.providers.get(realm, arn),
  encode: ({ url, clients, thumbprints, created, tags }) => [
    el('Url', url),
    el('CreateDate', dateText(created)),
    members(
      'ClientIDList',
      clients.map((each) => [each]),
    ),
    members(
      'ThumbprintList',
      thumbprints.map((each) => [each]),
    ),
    tagList(tags),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListOpenIDConnectProviders.html */
export const listProviders = iamOperation({
  name: 'ListOpenIDConnectProviders',
  decode: () => undefined,
  target: anything,
  run: (_input, { iam, realm }) => iam.providers.arns(realm),
  encode: (arns) => [
    members(
      'OpenIDConnectProviderList',
      arns.map((each) => [el('Arn', each)]),
    ),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteOpenIDConnectProvider.html */
export const deleteProvider = iamOperation({
  name: 'DeleteOpenIDConnectProvider',
  decode: (parameters) => ({ arn: parameters.needed('OpenIDConnectProviderArn') }),
  target: named,
  run: ({ arn }, { iam, realm }) => iam.providers.delete(realm, arn),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddClientIDToOpenIDConnectProvider.html */
export const addClient = iamOperation({
  name: 'AddClientIDToOpenIDConnectProvider',
  decode: (parameters) => ({
    arn: parameters.needed('OpenIDConnectProviderArn'),
    client: parameters.needed('ClientID'),
  }),
  target: named,
  run: ({ arn, client }, { iam, realm }) => iam.providers.addClient(realm, arn, client),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveClientIDFromOpenIDConnectProvider.html */
export const removeClient = iamOperation({
  name: 'RemoveClientIDFromOpenIDConnectProvider',
  decode: (parameters) => ({
    arn: parameters.needed('OpenIDConnectProviderArn'),
    client: parameters.needed('ClientID'),
  }),
  target: named,
  run: ({ arn, client }, { iam, realm }) => iam.providers.removeClient(realm, arn, client),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateOpenIDConnectProviderThumbprint.html */
export const updateThumbprints = iamOperation({
  name: 'UpdateOpenIDConnectProviderThumbprint',
  decode: (parameters) => ({
    arn: parameters.needed('OpenIDConnectProviderArn'),
    thumbprints: parameters.list('ThumbprintList') ?? [],
  }),
  target: named,
  run: ({ arn, thumbprints }, { iam, realm }) => iam.providers.setThumbprints(realm, arn, thumbprints),
})
