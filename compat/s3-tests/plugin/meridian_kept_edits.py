"""What tests do to requests before botocore signs them, and read of answers, as they are written.

botocore signs after a test has edited the headers, and so puts right the Authorization that the test spoilt or took away:
the request that goes out is another than the test describes. Here the test has the last word. No test is named.
"""

import functools
from collections.abc import MutableMapping

AUTHORIZATION = "Authorization"
KEPT = "meridian_kept_authorization"
REMOVED = object()


def keep_edits_of_tests():
    from botocore import hooks, signers

    register = hooks.EventAliaser.register
    sign = signers.RequestSigner.sign

    @functools.wraps(register)
    def registering(self, event_name, handler, *args, **kwargs):
        if getattr(handler, "__module__", "").startswith("s3tests."):
            if event_name.startswith("before-call.s3"):
                handler = noting_authorization(handler)
            elif event_name.startswith("after-call.s3"):
                handler = with_answer(handler)
        return register(self, event_name, handler, *args, **kwargs)

    @functools.wraps(sign)
    def signing(self, operation_name, request, *args, **kwargs):
        sign(self, operation_name, request, *args, **kwargs)
        kept = request.context.get(KEPT)
        if kept is None:
            return
        del request.headers[AUTHORIZATION]
        if kept is not REMOVED:
            request.headers[AUTHORIZATION] = kept

    hooks.EventAliaser.register = registering
    signers.RequestSigner.sign = signing


def noting_authorization(handler):
    @functools.wraps(handler)
    def noting(**kwargs):
        params, context = kwargs["params"], kwargs["context"]
        headers = params["headers"]
        params["headers"] = HeadersToCome(headers, context)
        try:
            return handler(**kwargs)
        finally:
            params["headers"] = headers
            # A test that adds to the URL knows it as it was before botocore put x-id into its query.
            path, *query = params["url"].split("?")
            params["url"] = "?".join([path, "&".join(query)]) if query else path

    return noting


def with_answer(handler):
    """botocore calls the answer `parsed`; some tests read it as `response`."""

    @functools.wraps(handler)
    def answering(**kwargs):
        kwargs.setdefault("response", kwargs["parsed"])
        return handler(**kwargs)

    return answering


class HeadersToCome(MutableMapping):
    """A request's headers before it is signed, for one who edits them as if it were: the Authorization to come is there."""

    def __init__(self, headers, context):
        self.headers = headers
        self.context = context

    def __contains__(self, name):
        return name == AUTHORIZATION or name in self.headers

    def __getitem__(self, name):
        return self.headers[name]

    def __setitem__(self, name, value):
        if name == AUTHORIZATION:
            self.context[KEPT] = value
        self.headers[name] = value

    def __delitem__(self, name):
        if name == AUTHORIZATION:
            self.context[KEPT] = REMOVED
            self.headers.pop(name, None)
        else:
            del self.headers[name]

    def __iter__(self):
        return iter(self.headers)

    def __len__(self):
        return len(self.headers)
