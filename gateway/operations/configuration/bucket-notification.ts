import { conditionValues } from '#gateway/auth/condition-values.ts'
import { operation } from '#gateway/operations/operation.ts'
import { notificationsElement, parseNotifications } from '#gateway/wire/notification-document.ts'
import { notificationsOf } from '#src/model/notification.ts'
import { done, readBucket, readDocument } from './setting.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html */
export const getBucketNotificationConfiguration = operation({
  name: 'GetBucketNotificationConfiguration',
  match: { method: 'GET', scope: 'bucket', keys: ['notification'] },
  action: 's3:GetBucketNotification',
  decode: () => undefined,
  run: async (_, context) => notificationsOf(await readBucket(context)),
  encode: (rules) => ({ status: 200, body: notificationsElement(rules) }),
})

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html */
export const putBucketNotificationConfiguration = operation({
  name: 'PutBucketNotificationConfiguration',
  match: { method: 'PUT', scope: 'bucket', keys: ['notification'] },
  action: 's3:PutBucketNotification',

  async decode(request) {
    return {
      rules: parseNotifications(await readDocument(request, 'NotificationConfiguration')),
      isUnchecked: request.headers['x-amz-skip-destination-validation'] === 'true',
    }
  },

  async run(input, { services, guard, caller, request }) {
    const { bucket: name, id: requestId } = request
    const values = conditionValues(request)
    await services.notifications.put({ ...input, name, guard, caller, values, requestId })
  },

  encode: done,
})
