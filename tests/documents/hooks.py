"""Credentials for the requests that schemathesis makes, and values that a schema can't describe.

A token that one request revokes is not used by another: a request that ends a session gets one of its own. Otherwise the
rest of the run would be a list of 401s.
"""

import base64
import collections
import itertools

import schemathesis
from live import CLIENT_MEMBERS, LIVE, by_cookie, sessions
from sessions import CLIENT_ID, CLIENT_SECRET, Session, register, service_token

BASIC = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()

# The origin of the pages that may call.
ORIGIN = "https://www.example.com"

# Requests to these may end the session that they come with.
ENDING = {"POST /logout", "POST /logout-all", "DELETE /sessions/{id}"}
# A body of these may hold the token. A request holds it once.
IN_BODY = {"POST /refresh", "POST /logout"}
# Texts whose bytes the service counts. JSON Schema counts characters.
COUNTED_IN_BYTES = {
    "POST /register": ("password", 8, 1024),
    "POST /password": ("new_password", 8, 1024),
    "POST /documents": ("body", 0, 10_000),
    "PUT /documents/{id}": ("body", 0, 10_000),
}

turns = itertools.count()


@schemathesis.auth(refresh_interval=None)
class Credentials:
    """The `Authorization` header, or the cookies, that an operation's security schemes ask for."""

    def __init__(self) -> None:
        self.requests = collections.Counter()

    def get(self, case, context):
        label = context.operation.label
        schemes = {name for entry in context.operation.definition.raw.get("security", []) for name in entry}
        if "client" in schemes:
            body = case.body if isinstance(case.body, dict) else {}
            return None if CLIENT_MEMBERS & body.keys() else BASIC
        if label in IN_BODY and case.body:
            return None
        if label == "POST /refresh":
            return "Bearer " + sessions.another().refresh
        if schemes == {"access_cookie"}:
            return sessions.another(by_cookie=True)
        if "access" not in schemes:
            return None
        if label == "POST /password":
            # The request changes the password of the account.
            return "Bearer " + Session(register()).access
        self.requests[label] += 1
        # A service never finds the document that a user made. This is no failure.
        if self.requests[label] % 7 == 0 and label != "GET /documents/{id}":
            # It lacks the scope of some routes, and others need the token of a user.
            return "Bearer " + service_token()
        return "Bearer " + (sessions.another() if label in ENDING else sessions.lasting()).access

    def set(self, case, data, context):
        if isinstance(data, Session):
            by_cookie(case, data)
            case.headers = {"Origin": ORIGIN, **case.headers}
        elif data is not None:
            case.headers = {**(case.headers or {}), "Authorization": data}


def count_alike(case) -> None:
    """Makes a text ASCII if its characters are as many as they may be, and its bytes are not, or the other way round."""
    name, least, most = COUNTED_IN_BYTES[case.operation.label]
    text = case.body.get(name) if isinstance(case.body, dict) else None
    if isinstance(text, str) and (least <= len(text) <= most) != (least <= len(text.encode()) <= most):
        case.body = {**case.body, name: "".join(letter if letter.isascii() else "x" for letter in text)}


@schemathesis.hook
def before_call(context, case, kwargs):
    label = case.operation.label
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if label in LIVE and is_valid and next(turns) % 3:
        LIVE[label](case)
    if label in COUNTED_IN_BYTES:
        count_alike(case)
