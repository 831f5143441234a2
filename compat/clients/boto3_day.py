"""A working day with boto3: what a program in Python does with S3, on real files.

Called by boto3.ts with the endpoint, the tree, the big file and a directory to work in; keys come by the environment.
Prints one line a step. Any difference from what S3 promises ends it with a traceback.
"""

import filecmp
import gzip
import os
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = "boto3-day"
OTHER = "boto3-day-other"


@contextmanager
def step(title):
    began = time.monotonic()
    found = []
    try:
        yield found.append
    except BaseException:
        print(f"FAIL  {title}", flush=True)
        raise
    words = ": " + ", ".join(found) if found else ""
    print(f"ok    {title}{words} ({time.monotonic() - began:.1f} s)", flush=True)


@contextmanager
def refused(*codes):
    try:
        yield
    except ClientError as error:
        assert error.response["Error"]["Code"] in codes, error
    else:
        raise AssertionError(f"should have been refused with {codes}")


def http(method, url, body=None, headers=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def form(url, fields, content):
    """A browser's upload form, as bytes."""
    line = "----a-working-day"
    parts = [f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    file = f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="form.txt"\r\nContent-Type: text/plain\r\n\r\n'
    body = "".join(parts).encode() + file.encode() + content + f"\r\n--{line}--\r\n".encode()
    return http("POST", url, body, {"Content-Type": f"multipart/form-data; boundary={line}"})


class Day:
    def __init__(self, endpoint, tree, big, work):
        config = Config(max_pool_connections=32, signature_version="s3v4")
        self.s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
        self.tree, self.big, self.down = Path(tree), Path(big), Path(work, "down")
        self.again = Path(work, "big-again")

    def work(self):
        self.buckets()
        self.sync()
        self.big_file()
        self.objects()
        self.presigned()
        self.select()
        self.versions()
        self.tags()
        self.access()
        self.clean_up()

    def buckets(self):
        with step("make, look at and list buckets") as found:
            for name in (BUCKET, OTHER):
                self.s3.create_bucket(Bucket=name)
            self.s3.head_bucket(Bucket=BUCKET)
            names = [each["Name"] for each in self.s3.list_buckets()["Buckets"]]
            assert names == [BUCKET, OTHER], names
            with refused("NoSuchBucket"):
                self.s3.list_objects_v2(Bucket="boto3-day-that-never-was")
            found(str(len(names)))

    def local(self):
        return sorted(str(path.relative_to(self.tree)) for path in self.tree.rglob("*") if path.is_file())

    def remote(self, bucket=BUCKET, prefix="tree/"):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [each for page in pages for each in page.get("Contents", [])]

    def sync(self):
        names = self.local()
        with step("upload a tree, 16 at once") as found:
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(lambda name: self.s3.upload_file(str(self.tree / name), BUCKET, "tree/" + name), names))
            found(f"{len(names)} files")
        with step("list it, by pages and by folders") as found:
            listed = self.remote()
            assert [each["Key"] for each in listed] == sorted(("tree/" + name for name in names), key=str.encode)
            sizes = {each["Key"]: each["Size"] for each in listed}
            assert all(sizes["tree/" + name] == (self.tree / name).stat().st_size for name in names)
            pages = self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=BUCKET, Prefix="tree/", Delimiter="/", PaginationConfig={"PageSize": 7}
            )
            folders = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
            expected = sorted({f"tree/{name.split('/')[0]}/" for name in names if "/" in name}, key=str.encode)
            assert folders == expected, (folders, expected)
            found(f"{len(listed)} objects, {len(folders)} folders")
        with step("download it and compare") as found:
            for parent in {(self.down / name).parent for name in names}:
                parent.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(lambda name: self.s3.download_file(BUCKET, "tree/" + name, str(self.down / name)), names))
            _, differ, lost = filecmp.cmpfiles(self.tree, self.down, names, shallow=False)
            assert not differ and not lost, (differ[:5], lost[:5])
            found(f"{len(names)} files, all bytes equal")

    def big_file(self):
        length = self.big.stat().st_size
        parts = TransferConfig(multipart_chunksize=32 << 20, max_concurrency=8)
        with step("upload a big file in parts") as found:
            extra = {"ChecksumAlgorithm": "CRC32C", "Metadata": {"kind": "big"}}
            self.s3.upload_file(str(self.big), BUCKET, "big", Config=parts, ExtraArgs=extra)
            head = self.s3.head_object(Bucket=BUCKET, Key="big", ChecksumMode="ENABLED")
            assert head["ContentLength"] == length and head["Metadata"] == {"kind": "big"}, head
            assert "ChecksumCRC32C" in head, head
            found(f"{length} bytes, ETag {head['ETag']}")
        with step("read ranges, and one part by its number") as found:
            with self.big.open("rb") as file:
                for start, end in ((0, 0), ((32 << 20) - 10, (32 << 20) + 9), (length - 100, length - 1)):
                    got = self.s3.get_object(Bucket=BUCKET, Key="big", Range=f"bytes={start}-{end}")
                    file.seek(start)
                    assert got["Body"].read() == file.read(end - start + 1)
                    assert got["ContentRange"] == f"bytes {start}-{end}/{length}", got
            suffix = self.s3.get_object(Bucket=BUCKET, Key="big", Range="bytes=-7")
            assert suffix["ContentLength"] == 7
            with refused("InvalidRange"):
                self.s3.get_object(Bucket=BUCKET, Key="big", Range=f"bytes={length}-")
            part = self.s3.head_object(Bucket=BUCKET, Key="big", PartNumber=1)
            assert part["PartsCount"] == -(-length // (32 << 20)), part
            found(f"{part['PartsCount']} parts")
        with step("copy it on the server in parts, download and compare") as found:
            self.s3.copy({"Bucket": BUCKET, "Key": "big"}, OTHER, "big", Config=parts)
            self.s3.download_file(OTHER, "big", str(self.again), Config=parts)
            assert filecmp.cmp(self.big, self.again, shallow=False)
            self.again.unlink()
            found(f"{length} bytes, all equal")

    def objects(self):
        at = {"Bucket": BUCKET, "Key": "notes/note ünïcödé.txt"}
        with step("metadata stays with an object and is replaced by a copy"):
            self.s3.put_object(
                **at, Body=b"a note\n", ContentType="text/plain", CacheControl="no-cache",
                ContentDisposition='attachment; filename="note.txt"', Metadata={"author": "boto3", "empty": ""},
            )
            head = self.s3.head_object(**at)
            assert head["Metadata"] == {"author": "boto3", "empty": ""}, head
            assert (head["ContentType"], head["CacheControl"]) == ("text/plain", "no-cache"), head
            self.s3.copy_object(CopySource=at, Bucket=OTHER, Key="same", MetadataDirective="COPY")
            self.s3.copy_object(CopySource=at, Bucket=OTHER, Key="new", MetadataDirective="REPLACE", Metadata={"a": "b"})
            assert self.s3.head_object(Bucket=OTHER, Key="same")["Metadata"] == head["Metadata"]
            assert self.s3.head_object(Bucket=OTHER, Key="new")["Metadata"] == {"a": "b"}
        with step("conditional writes, reads and copies"):
            etag = self.s3.head_object(**at)["ETag"]
            with refused("PreconditionFailed"):
                self.s3.put_object(**at, Body=b"x", IfNoneMatch="*")
            with refused("PreconditionFailed"):
                self.s3.put_object(**at, Body=b"x", IfMatch='"0123"')
            with refused("304"):
                self.s3.get_object(**at, IfNoneMatch=etag)
            with refused("PreconditionFailed"):
                self.s3.copy_object(CopySource=at, CopySourceIfNoneMatch=etag, Bucket=OTHER, Key="never")
            self.s3.put_object(**at, Body=b"a note\n", IfMatch=etag)
            with ThreadPoolExecutor(16) as pool:
                won = sum(pool.map(self.create_once, range(16)))
            assert won == 1, f"{won} of 16 writers created the same key"
        with step("wrong and right checksums"):
            with refused("BadDigest", "InvalidDigest"):
                self.s3.put_object(Bucket=BUCKET, Key="never", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
            with refused("BadDigest", "InvalidRequest", "XAmzContentChecksumMismatch"):
                self.s3.put_object(Bucket=BUCKET, Key="never", Body=b"x", ChecksumCRC32="AAAAAA==")
            with refused("404"):
                self.s3.head_object(Bucket=BUCKET, Key="never")

    def create_once(self, _):
        try:
            self.s3.put_object(Bucket=BUCKET, Key="once", Body=b"x", IfNoneMatch="*")
            return 1
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), error
            return 0

    def presigned(self):
        at = {"Bucket": BUCKET, "Key": "presigned file.bin"}
        content = os.urandom(100_000)
        with step("presigned GET, PUT, DELETE and a browser's form, over plain HTTP"):
            url = self.s3.generate_presigned_url("put_object", at, 600)
            status, said = http("PUT", url, content)
            assert status == 200, (status, said)
            url = self.s3.generate_presigned_url("get_object", at, 600)
            assert http("GET", url) == (200, content)
            assert http("PUT", url, b"x")[0] == 403
            url = self.s3.generate_presigned_url("get_object", at, 1)
            time.sleep(2.5)
            assert http("GET", url)[0] == 403
            assert http("DELETE", self.s3.generate_presigned_url("delete_object", at))[0] == 204
            post = self.s3.generate_presigned_post(
                BUCKET, "forms/${filename}", Conditions=[["content-length-range", 1, 1000], ["starts-with", "$key", "forms/"]]
            )
            status, said = form(post["url"], post["fields"], b"by a form")
            assert status == 204, (status, said)
            assert self.s3.get_object(Bucket=BUCKET, Key="forms/form.txt")["Body"].read() == b"by a form"
            assert form(post["url"], post["fields"], b"x" * 1001)[0] == 400

    def select(self):
        rows = "".join(f'{number},"row {number}",{number / 4}\n' for number in range(50_000))
        made = {
            "people.csv": b"id,name,share\n" + rows.encode(),
            "people.jsonl.gz": gzip.compress(b"".join(b'{"id":%d,"tags":["a","b"]}\n' % each for each in range(50_000))),
        }
        with step("select: CSV with names, compressed JSON, counts and refusals") as found:
            for key, body in made.items():
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            csv = {"CSV": {"FileHeaderInfo": "USE"}}
            records, stats = self.query("people.csv", "SELECT s.name FROM S3Object s WHERE CAST(s.id AS INT) > 49997", csv)
            assert records == "row 49998\nrow 49999\n", records
            assert stats["BytesScanned"] == len(made["people.csv"]), stats
            everything, _ = self.query("people.csv", "SELECT * FROM S3Object", csv)
            assert everything == rows.replace('"', ""), "all records"
            lines = {"JSON": {"Type": "LINES"}, "CompressionType": "GZIP"}
            query = "SELECT COUNT(*) AS n, MAX(s.id) AS last FROM S3Object s WHERE s.tags[1] = 'b'"
            records, stats = self.query("people.jsonl.gz", query, lines, {"JSON": {}})
            assert records == '{"n":50000,"last":49999}\n', records
            assert stats["BytesScanned"] < stats["BytesProcessed"], stats
            with refused("MissingHeaders"):
                self.query("people.csv", "SELECT nobody FROM S3Object", csv)
            found(f"{len(rows)} bytes")

    def query(self, key, expression, source, target=None):
        answer = self.s3.select_object_content(
            Bucket=BUCKET,
            Key=key,
            Expression=expression,
            ExpressionType="SQL",
            InputSerialization=source,
            OutputSerialization=target or {"CSV": {}},
        )
        events = list(answer["Payload"])
        assert "End" in events[-1], events[-1]
        records = b"".join(each["Records"]["Payload"] for each in events if "Records" in each)
        return records.decode(), next(each["Stats"]["Details"] for each in events if "Stats" in each)

    def versions(self):
        at = {"Bucket": BUCKET, "Key": "kept.txt"}
        with step("versions: overwrite, delete, restore, suspend"):
            self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
            made = [self.s3.put_object(**at, Body=words)["VersionId"] for words in (b"first", b"second")]
            marker = self.s3.delete_object(**at)
            assert marker["DeleteMarker"] is True
            with refused("NoSuchKey"):
                self.s3.get_object(**at)
            listed = self.s3.list_object_versions(Bucket=BUCKET, Prefix="kept.txt")
            assert [each["VersionId"] for each in listed["Versions"]] == made[::-1]
            assert [each["VersionId"] for each in listed["DeleteMarkers"]] == [marker["VersionId"]]
            assert self.s3.get_object(**at, VersionId=made[0])["Body"].read() == b"first"
            self.s3.copy_object(CopySource={**at, "VersionId": made[0]}, **at)
            assert self.s3.get_object(**at)["Body"].read() == b"first"
            self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
            self.s3.put_object(**at, Body=b"null one")
            self.s3.put_object(**at, Body=b"null two")
            listed = self.s3.list_object_versions(Bucket=BUCKET, Prefix="kept.txt")
            assert [each["VersionId"] for each in listed["Versions"]].count("null") == 1, listed
            assert len(listed["Versions"]) == 4, listed

    def tags(self):
        tags = [{"Key": "one", "Value": "1"}, {"Key": "two + more", "Value": ""}]
        with step("tags of an object and of a bucket"):
            at = {"Bucket": BUCKET, "Key": "tagged"}
            self.s3.put_object(**at, Body=b"", Tagging="by=header")
            assert self.s3.get_object_tagging(**at)["TagSet"] == [{"Key": "by", "Value": "header"}]
            assert self.s3.get_object(**at)["TagCount"] == 1
            self.s3.put_object_tagging(**at, Tagging={"TagSet": tags})
            assert self.s3.get_object_tagging(**at)["TagSet"] == tags
            self.s3.delete_object_tagging(**at)
            assert self.s3.get_object_tagging(**at)["TagSet"] == []
            self.s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})
            assert self.s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == tags
            self.s3.delete_bucket_tagging(Bucket=BUCKET)
            with refused("NoSuchTagSet"):
                self.s3.get_bucket_tagging(Bucket=BUCKET)

    def access(self):
        with step("who may: an ACL opens one object to everyone, CORS answers a browser"):
            self.s3.put_object(Bucket=OTHER, Key="secret", Body=b"secret")
            self.s3.put_object(Bucket=OTHER, Key="open", Body=b"open", ACL="public-read")
            endpoint = self.s3.meta.endpoint_url
            assert http("GET", f"{endpoint}/{OTHER}/open") == (200, b"open")
            assert http("GET", f"{endpoint}/{OTHER}/secret")[0] == 403
            rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://*.example.com"], "AllowedHeaders": ["*"]}
            self.s3.put_bucket_cors(Bucket=OTHER, CORSConfiguration={"CORSRules": [rule]})
            asked = {"Origin": "https://www.example.com", "Access-Control-Request-Method": "GET"}
            assert http("OPTIONS", f"{endpoint}/{OTHER}/open", headers=asked)[0] == 200
            assert http("OPTIONS", f"{endpoint}/{OTHER}/open", headers={**asked, "Origin": "https://evil.example"})[0] == 403

    def clean_up(self):
        with step("delete everything") as found:
            with refused("BucketNotEmpty"):
                self.s3.delete_bucket(Bucket=BUCKET)
            gone = 0
            for bucket in (BUCKET, OTHER):
                for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                    all_of_it = page.get("Versions", []) + page.get("DeleteMarkers", [])
                    objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in all_of_it]
                    answer = self.s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
                    assert len(answer["Deleted"]) == len(objects) and "Errors" not in answer, answer.get("Errors")
                    gone += len(objects)
                self.s3.delete_bucket(Bucket=bucket)
            assert self.s3.list_buckets()["Buckets"] == []
            found(f"{gone} versions and markers, 2 buckets")


if __name__ == "__main__":
    Day(*sys.argv[1:]).work()
