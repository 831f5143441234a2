"""Puts, lists and reads in the bucket that the environment names; knows nothing else."""

import os

import boto3
from botocore.exceptions import ClientError

bucket = os.environ["BUCKET_NAME"]
s3 = boto3.client("s3")
s3.put_object(Bucket=bucket, Key="greeting", Body=b"hello")
s3.upload_file(os.path.realpath(__file__), bucket, "program")
assert s3.get_object(Bucket=bucket, Key="greeting")["Body"].read() == b"hello"
keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
assert keys == ["greeting", "program"], keys
for refused in (lambda: s3.list_buckets(), lambda: s3.delete_bucket(Bucket=bucket)):
    try:
        refused()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error
    else:
        raise AssertionError("the key opens more than its bucket")
print(f"{len(keys)} objects in {bucket} through boto3 {boto3.__version__}")
