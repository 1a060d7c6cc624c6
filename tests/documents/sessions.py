"""Live tokens of auth-service, for the requests that schemathesis makes."""

import base64
import json
import os
import time
import uuid

import requests

ISSUER = os.environ["AUTH_ISSUER"]
CLIENT_ID = "documents"
CLIENT_SECRET = "documents-secret-documents-secret-0123456789"
PASSWORD = "ostrich velcro tangent"
# This account has the role that `GET /admin` needs.
ADMINISTRATOR = "test@example.com"

http = requests.Session()


def post(path: str, status: int, **request) -> requests.Response:
    # A cookie of one answer must not come with the next request.
    http.cookies.clear()
    answer = http.post(ISSUER + path, timeout=10, **request)
    assert answer.status_code == status, (path, answer.status_code, answer.text)
    return answer


def register() -> str:
    """The email address of a new account."""
    email = f"{uuid.uuid4()}@example.com"
    post("/register", 201, json={"email": email, "password": PASSWORD})
    return email


def service_token() -> str:
    """A token that the client got for itself."""
    form = {"grant_type": "client_credentials", "scope": "documents:read introspect"}
    return post("/oauth/token", 200, data=form, auth=(CLIENT_ID, CLIENT_SECRET)).json()["access_token"]


class Session:
    """A login. The tokens are in the body of its answer, or in cookies."""

    def __init__(self, email: str, by_cookie: bool = False) -> None:
        body = {"email": email, "password": PASSWORD, "delivery": "cookie" if by_cookie else "body"}
        answer = post("/login", 200, json=body)
        if by_cookie:
            self.access, self.refresh = answer.cookies["__Host-access_token"], answer.cookies["__Secure-refresh_token"]
            self.csrf = answer.json()["csrf"]
        else:
            self.access, self.refresh = answer.json()["access_token"], answer.json()["refresh_token"]


def session_id(access: str) -> str:
    """The session of an access token."""
    payload = access.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"]


class Sessions:
    """Logs in. After some logins it makes another account, so that none has thousands of sessions."""

    def __init__(self) -> None:
        self.logins = 0
        self.email = ""
        self.kept = None
        self.replace_at = 0.0

    def account(self) -> str:
        if self.logins % 50 == 0:
            self.email = register()
        self.logins += 1
        return self.email

    def another(self, by_cookie: bool = False) -> Session:
        """A session that the request may end."""
        return Session(self.account(), by_cookie)

    def lasting(self) -> Session:
        """A session that no request ends. It is replaced before its access token expires, after 15 minutes."""
        if time.monotonic() >= self.replace_at:
            self.kept, self.replace_at = Session(ADMINISTRATOR), time.monotonic() + 600
        return self.kept
