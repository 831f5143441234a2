import { Fault } from '#src/errors.ts'
import { copyObject } from './object/copy-object.ts'
import { deleteObject } from './object/delete-object.ts'
import { deleteObjects } from './object/delete-objects.ts'
import { getObject, headObject } from './object/get-object.ts'
import { getObjectAttributes } from './object/get-object-attributes.ts'
import { getObjectTorrent } from './object/get-object-torrent.ts'
import { getObjectAcl, putObjectAcl } from './object/object-acl.ts'
import { getObjectLegalHold, putObjectLegalHold } from './object/object-legal-hold.ts'
import { getObjectRetention, putObjectRetention } from './object/object-retention.ts'
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './object/object-tagging.ts'
import { putObject } from './object/put-object.ts'
import { renameObject } from './object/rename-object.ts'
import { type Operation, operation } from './operation.ts'
import { everyOperation } from './unimplemented.ts'
import { abortMultipartUpload } from './upload/abort-multipart-upload.ts'
import { completeMultipartUpload } from './upload/complete-multipart-upload.ts'
import { createMultipartUpload } from './upload/create-multipart-upload.ts'
import { listParts } from './upload/list-parts.ts'
import { uploadPart } from './upload/upload-part.ts'
import { uploadPartCopy } from './upload/upload-part-copy.ts'

/** The operations there are: one import and one line each. Of equal weight, the first one is taken (D1). */
export const implemented: readonly Operation[] = [
  copyObject,
  deleteObject,
  deleteObjects,
  getObject,
  headObject,
  getObjectAttributes,
  getObjectTorrent,
  getObjectAcl,
  putObjectAcl,
  getObjectLegalHold,
  putObjectLegalHold,
  getObjectRetention,
  putObjectRetention,
  deleteObjectTagging,
  getObjectTagging,
  putObjectTagging,
  putObject,
  renameObject,
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listParts,
  uploadPart,
  uploadPartCopy,
]

function notImplemented(name: string, match: Operation['match']): Operation {
  return operation({
    name,
    match,
    action: `s3:${name}`,
    decode: () => {
      throw new Fault('NotImplemented', { message: `${name} is not implemented.`, Operation: name })
    },
    run: async () => undefined,
    encode: () => ({ status: 501 }),
  })
}

/** All of S3: what is there, and NotImplemented for what is not there yet. */
export function allOperations(present: readonly Operation[] = implemented): readonly Operation[] {
  const names = new Set(present.map(({ name }) => name))
  const absent = everyOperation.filter(({ name }) => !names.has(name))
  return [...present, ...absent.map(({ name, match }) => notImplemented(name, match))]
}
