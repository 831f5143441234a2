/** What a program is given to reach a bucket: names that the SDKs of AWS read by themselves, and the bucket's. */
export const variablesOf = (
  bucket: string,
  key: { readonly id: string; readonly secret: string },
  endpoint: string,
): Readonly<Record<string, string>> => ({
  AWS_ACCESS_KEY_ID: key.id,
  AWS_SECRET_ACCESS_KEY: key.secret,
  AWS_REGION: 'auto',
  AWS_ENDPOINT_URL_S3: endpoint,
  BUCKET_NAME: bucket,
})
