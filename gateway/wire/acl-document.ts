import { all, child, malformed, optionalChild, optionalText, parseXml, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, elWith, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Acl, Grantee } from '#src/model/access.ts'
import { isPermission, type NamedGrant, type Person } from '#src/model/acl.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_AccessControlPolicy.html */
const schemaInstance = 'http://www.w3.org/2001/XMLSchema-instance'

/** What an AccessControlPolicy document asks for; `owner` is the id it names, which must be the true one. */
export interface AclDocument {
  readonly owner: string | undefined
  readonly grants: readonly NamedGrant[]
}

export function parseAcl(bytes: Uint8Array): AclDocument {
  try {
    return readAcl(parseXml(bytes, 'AccessControlPolicy'))
  } catch (error) {
    // S3 has a code of its own for documents that are well-formed but no ACL.
    if (error instanceof Fault && error.code === 'MalformedXML') throw new Fault('MalformedACLError')
    throw error
  }
}

function readAcl(root: XmlNode): AclDocument {
  const owner = optionalChild(root, 'Owner')
  const list = child(root, 'AccessControlList')
  return {
    owner: owner === undefined ? undefined : optionalText(owner, 'ID'),
    grants: all(list, 'Grant').map(readGrant),
  }
}

function readGrant(node: XmlNode): NamedGrant {
  const permission = text(node, 'Permission')
  if (!isPermission(permission)) throw malformed()
  return { grantee: readGrantee(child(node, 'Grantee')), permission }
}

/** By what it holds, not by xsi:type alone: some clients leave that out. */
function readGrantee(node: XmlNode): NamedGrant['grantee'] {
  const type = node.attributes.get('type')
  const id = optionalText(node, 'ID')
  const uri = optionalText(node, 'URI')
  const email = optionalText(node, 'EmailAddress')
  if (id !== undefined && (type === undefined || type === 'CanonicalUser')) return { kind: 'id', name: id }
  if (uri !== undefined && (type === undefined || type === 'Group')) return { kind: 'uri', name: uri }
  if (email !== undefined && (type === undefined || type === 'AmazonCustomerByEmail'))
    return { kind: 'email', name: email }
  throw malformed()
}

export const ownerElement = (name: string, { id, displayName }: Person): Xml =>
  el(name, el('ID', id), displayName === '' ? undefined : el('DisplayName', displayName))

export function aclElement(acl: Acl, owner: Person): Xml {
  // Groups first: they have no display name, and clients that sort by it look at the first grant only.
  const inOrder = [...acl.grants].sort((a, b) => rank(a.grantee) - rank(b.grantee))
  const grants = inOrder.map(({ grantee, permission }) =>
    el('Grant', granteeElement(grantee, owner), el('Permission', permission)),
  )
  return el('AccessControlPolicy', ownerElement('Owner', owner), el('AccessControlList', ...grants))
}

const rank = ({ kind }: Grantee): number => (kind === 'group' ? 0 : 1)

function granteeElement(grantee: Grantee, owner: Person): Xml {
  const type = grantee.kind === 'account' ? 'CanonicalUser' : 'Group'
  const attributes = { 'xmlns:xsi': schemaInstance, 'xsi:type': type }
  if (grantee.kind === 'group') return elWith('Grantee', attributes, el('URI', grantee.uri))
  const { id } = grantee
  const displayName = id === owner.id ? owner.displayName : grantee.displayName
  const name = displayName === '' ? undefined : el('DisplayName', displayName)
  return elWith('Grantee', attributes, el('ID', id), name)
}
