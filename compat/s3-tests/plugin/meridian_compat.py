"""A pytest plug-in that makes ceph/s3-tests quick and its results exact; it changes no test.

It runs one shard of the tests, keeps the clients that clean up around every test (making them anew takes most of the
suite's time), ends a test that hangs, and writes one line of JSON for each test. Where botocore or the suite's cleanup keep
a test from reaching the server as it is written, it clears the way (meridian_kept_edits.py, meridian_cleanup.py).
"""

import functools
import json
import os
import signal
import zlib

import pytest
from meridian_cleanup import take_users_out_of_groups
from meridian_kept_edits import keep_edits_of_tests

RESULTS = os.environ["MERIDIAN_RESULTS"]
SHARD, SHARDS = (int(each) for each in os.environ.get("MERIDIAN_SHARD", "0/1").split("/"))
LIMIT = int(os.environ.get("MERIDIAN_TEST_TIMEOUT", "300"))
CLEANUP_CLIENTS = ("get_client", "get_alt_client", "get_tenant_client", "get_iam_client")
LONGEST_MESSAGE = 2000
# A session lasts 15 minutes at least, and this test waits for its end.
LONGER = {"test_assume_role_creds_expiry": 960}

tests = {}


def identity(nodeid):
    return nodeid.rsplit("/", 1)[-1]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    sign_in_python()
    keep_edits_of_tests()
    take_users_out_of_groups()
    keep_cleanup_clients()
    mine = [item for item in items if zlib.crc32(item.nodeid.encode()) % SHARDS == SHARD]
    others = [item for item in items if zlib.crc32(item.nodeid.encode()) % SHARDS != SHARD]
    config.hook.pytest_deselected(items=others)
    items[:] = mine
    for item in mine:
        marks = sorted({mark.name for mark in item.iter_markers()} - {"parametrize", "skip", "skipif", "usefixtures"})
        tests[item.nodeid] = {"test": identity(item.nodeid), "marks": marks, "outcome": "passed", "seconds": 0, "message": ""}


def sign_in_python():
    """The suite edits headers while botocore signs, which only the signers that it was written with allow. awscrt, which
    botocore needs for some checksums, brings others and would put them first.
    """
    from botocore import auth

    for name, signer in (
        ("v4", auth.SigV4Auth),
        ("v4-query", auth.SigV4QueryAuth),
        ("s3v4", auth.S3SigV4Auth),
        ("s3v4-query", auth.S3SigV4QueryAuth),
    ):
        auth.AUTH_TYPE_MAPS[name] = signer


def keep_cleanup_clients():
    """Lets the suite's own setup and teardown use the same clients every time; tests still make theirs."""
    import s3tests.functional as suite

    kept = {name: functools.cache(getattr(suite, name)) for name in CLEANUP_CLIENTS}

    def with_kept_clients(clean):
        def cleaned():
            own = {name: getattr(suite, name) for name in kept}
            vars(suite).update(kept)
            try:
                clean()
            finally:
                vars(suite).update(own)

        return cleaned

    suite.setup = with_kept_clients(suite.setup)
    suite.teardown = with_kept_clients(suite.teardown)


def per_bucket(item):
    """The suite knows one cloud tier. Its tests of tiers with a bucket for each bucket get the one that has that."""
    if item.get_closest_marker("target_by_bucket") is None:
        return lambda: None
    import configparser

    import s3tests.functional as suite

    settings = configparser.RawConfigParser()
    settings.read(os.environ["S3TEST_CONF"])
    if not settings.has_section("s3 cloud"):
        return lambda: None
    before = suite.config.cloud_storage_class
    suite.config.cloud_storage_class = settings.get("s3 cloud", "per_bucket_storage_class")
    suite.config.cloud_target_by_bucket = True

    def put_back():
        suite.config.cloud_storage_class = before
        suite.config.cloud_target_by_bucket = False

    return put_back


class TookTooLong(Exception):
    pass


def too_long(_signal, _frame):
    raise TookTooLong(f"took longer than {LIMIT} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(max(LIMIT, LONGER.get(item.name, 0)))
    put_back = per_bucket(item)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        put_back()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)
    try:
        return (yield)
    finally:
        signal.alarm(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)
    try:
        return (yield)
    finally:
        signal.alarm(0)


def pytest_runtest_logreport(report):
    """A test passed only if its setup, its body and its cleanup all did."""
    test = tests[report.nodeid]
    test["seconds"] += report.duration
    if report.outcome != "passed" and test["outcome"] == "passed":
        test["outcome"] = report.outcome
        where = "" if report.when == "call" or report.outcome == "skipped" else f"in {report.when}: "
        test["message"] = where + words(report)
        test["trace"] = "" if report.outcome == "skipped" else str(report.longrepr)[-6000:]
    if report.when == "teardown":
        with open(RESULTS, "a", encoding="utf-8") as file:
            file.write(json.dumps(test) + "\n")


def words(report):
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])[:LONGEST_MESSAGE]
    lines = [line for line in str(report.longrepr).strip().splitlines() if line.strip()]
    # The native traceback ends with the exception; before it, what was asked.
    return (lines[-1] if lines else "")[:LONGEST_MESSAGE]
