"""Every error that an API server may answer, one for each of many namespaces at once (fleet.py).

Each comes twice; clients keep what they have, and have what is true soon after.
"""
import json
import time

from tests.support import api_faults as faults
from tests.support.api_faults import status_object

from .fleet import DEADLINE, Fleet

CODES = (400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 429, 500, 501, 502, 503, 504)
HTML = "<html><body><h1>Bad Gateway</h1></body></html>"


def _too_large_version(retry_after):
    """The server's cache has not reached the version that was asked for."""
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    return {**status_object(504, "Timeout: Too large resource version: 5000, current: 4000"),
            "reason": "Timeout", "details": details}


def _answers():
    """(name, act): answers that are no list and no watch."""
    for code in CODES:
        yield f"{code}", faults.status(code)
        yield f"{code} in HTML", faults.body(HTML, "text/html", code)
        yield f"{code} without a body", faults.body("", code=code)
    yield "429 with Retry-After", faults.status(429, retry_after=1)
    yield "503 with Retry-After", faults.status(503, retry_after=1)
    yield "a date as Retry-After", faults.status(503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT")
    yield "nonsense as Retry-After", faults.status(429, retry_after="soon")
    yield "too large a version", faults.body(json.dumps(_too_large_version(1)), code=504)
    yield "HTML", faults.body(HTML, "text/html")
    yield "nothing", faults.body("")
    yield "a chunked nothing", faults.stream(then="end")
    yield "half a chunk", faults.stream('{"kind":"Endp', then="cut")
    yield "a reset", faults.reset()
    yield "an object", faults.body("{}")
    yield "null", faults.body("null")
    yield "an array", faults.body("[]")
    yield "half a character", faults.body(b'{"kind":"\xe2\x82')
    yield "a redirect", faults.body("", code=302)
    yield "no content", faults.body("", code=204)


def _stream_errors():
    """(name, act): 200, and the error inside."""
    for code in CODES:
        yield f"{code} inside", faults.error_event(code)
    for name, status in (("a later version inside", _too_large_version(0)),
                         ("an error without a code", {"kind": "Status", "status": "Failure"}),
                         ("an error of wrong types", {"kind": "Status", "code": "410", "message": 7}),
                         ("an error that is null", None)):
        yield name, faults.stream(json.dumps({"type": "ERROR", "object": status}) + "\n", then="end")
    yield "an event of no type", faults.stream('{"object":{}}\n', then="open")
    yield "a bookmark without a version", faults.stream(
        '{"type":"BOOKMARK","object":{"kind":"EndpointSlice","metadata":{}}}\n', then="open")


def _run(work, verb, acts, again, **server):
    """Two of each, to requests of that kind, while the controller and its clients are at work."""
    acts = list(acts)
    with Fleet(work, len(acts), **server) as fleet:
        fleet.start()
        fleet.change(2)
        fleet.settle()
        given = [fleet.api.fault("endpointslices", verb, act, times=2, namespace=name)
                 for (_, act), name in zip(acts, fleet.names)]
        fleet.api.pause_events()
        fleet.change(3)
        if again:
            fleet.api.compact()
        begin = time.monotonic()
        asked = len(fleet.api.asked("endpointslices"))
        fleet.api.drop_watches()
        fleet.api.resume_events()
        for (name, _), fault in zip(acts, given):
            try:
                fault.wait(1 if verb == "stream" else 2, timeout=DEADLINE)
            except AssertionError as error:
                raise AssertionError(f"{verb} and {name}: {error}") from None
        fleet.settle()
        fleet.check_back()
        count = len(fleet.api.asked("endpointslices")) - asked
        limit = len(acts) * (8 + 2 * (time.monotonic() - begin) / 10)
        assert count < limit, f"{count} requests of {len(acts)} namespaces in {time.monotonic() - begin:.0f} s"


def lists_that_fail(work):
    _run(work, "list", _answers(), again=True, streams=False)


def later_pages_that_fail(work):
    _run(work, "page", _answers(), again=True, streams=False, page_max=2)


def streamed_lists_that_fail(work):
    _run(work, "stream", [*_answers(), *_stream_errors()], again=True)


def watches_that_fail(work):
    _run(work, "watch", [*_answers(), *_stream_errors()], again=False, streams=False)


CASES = [lists_that_fail, later_pages_that_fail, streamed_lists_that_fail, watches_that_fail]
