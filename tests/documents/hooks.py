"""Credentials for the requests that schemathesis makes, and values that a schema can't describe.

A token that one request revokes is not used by another: requests that end sessions get a session of their own, so that
the rest of the run is not a list of 401s.
"""

import base64
import os
import time
import uuid

import requests
import schemathesis

ISSUER = os.environ["AUTH_ISSUER"]
CLIENT = ("documents", "documents-secret-documents-secret-0123456789")
BASIC = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
PASSWORD = "password"

# Requests to these may end the session that they come with.
ENDING = {"POST /logout", "POST /logout-all", "DELETE /sessions/{id}"}
# Requests to these may change the password of their account.
CHANGING = {"POST /password"}
# These take a refresh token, and spend it.
REFRESHING = {"POST /refresh"}
# A body of these may hold the token. A request holds it once.
IN_BODY = {"POST /refresh", "POST /logout"}

http = requests.Session()


class Sessions:
    """Logs in. After some logins it makes another account, so that none has thousands of sessions."""

    def __init__(self) -> None:
        self.logins = 0
        self.email = ""
        self.kept = None
        self.replace_at = 0.0

    def of_new_account(self) -> dict:
        email = f"{uuid.uuid4()}@example.com"
        self.post("/register", {"email": email, "password": PASSWORD}, 201)
        return self.log_in(email)

    def of_its_own(self) -> dict:
        if self.logins % 50 == 0:
            self.email = f"{uuid.uuid4()}@example.com"
            self.post("/register", {"email": self.email, "password": PASSWORD}, 201)
        self.logins += 1
        return self.log_in(self.email)

    def lasting(self) -> dict:
        """A session that no request ends. It is replaced before its access token expires, after 15 minutes."""
        if time.monotonic() >= self.replace_at:
            # This account has the role that `GET /admin` needs.
            self.kept, self.replace_at = self.log_in("test@example.com"), time.monotonic() + 600
        return self.kept

    def log_in(self, email: str) -> dict:
        return self.post("/login", {"email": email, "password": PASSWORD}, 200)

    @staticmethod
    def post(path: str, body: dict, status: int) -> dict:
        answer = http.post(ISSUER + path, json=body, timeout=10)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json()


sessions = Sessions()


@schemathesis.auth(refresh_interval=None)
class Credentials:
    """The `Authorization` header that an operation's security schemes ask for."""

    def get(self, case, context):
        label = context.operation.label
        schemes = {name for entry in context.operation.definition.raw.get("security", []) for name in entry}
        if "client" in schemes:
            body = case.body if isinstance(case.body, dict) else {}
            # A client authenticates in one way at a time.
            return None if {"client_id", "client_secret", "client_assertion"} & body.keys() else BASIC
        if label in IN_BODY and case.body:
            return None
        if label in REFRESHING:
            return "Bearer " + sessions.of_its_own()["refresh_token"]
        if "access" not in schemes:
            return None
        if label in CHANGING:
            session = sessions.of_new_account()
        else:
            session = sessions.of_its_own() if label in ENDING else sessions.lasting()
        return "Bearer " + session["access_token"]

    def set(self, case, data, context):
        if data is not None:
            case.headers = {**(case.headers or {}), "Authorization": data}
