"""Calls the Flask app of examples/python-flask, which verifies the issuer's tokens with Flask-JWT-Extended.

Environment: ISSUER, FLASK_URL (where the app listens). Arguments: the app's file and the page that has to quote it.
"""

import base64
import json
import os
import pathlib
import sys

import requests

issuer, app = os.environ["ISSUER"], os.environ["FLASK_URL"]
source, page = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:])
ACCOUNT = {"email": "test@example.com", "password": "password"}


def login(**more: str) -> requests.Response:
    answer = requests.post(f"{issuer}/login", json=ACCOUNT | more, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def expect(status: int, part: str, path: str, headers: dict[str, str], method: str = "GET") -> None:
    """The app answers with `status`, and with `part` in the body."""
    answer = requests.request(method, app + path, headers=headers, timeout=10)
    assert (answer.status_code, part in answer.text) == (status, True), (method, path, answer.status_code, answer.text)
    print(f"   {method} {path}: {answer.status_code} {answer.text.strip()}")


def forged(typ: str) -> str:
    """A token with a key that the issuer does not publish."""
    parts = [{"typ": typ, "alg": "RS256", "kid": "unknown"}, {"iss": issuer, "sub": "somebody", "jti": "1"}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "AAAA"])


assert f"```python\n{source}```" in page, "the page does not quote the app as it is"

tokens = login().json()
access, refresh = tokens["access_token"], tokens["refresh_token"]
expect(401, "Missing JWT", "/protected", {})
expect(200, ACCOUNT["email"], "/protected", bearer(access))
expect(200, "true", "/fresh", bearer(access))
expect(201, ACCOUNT["email"], "/notes", bearer(access), "POST")
expect(422, "Not enough segments", "/protected", bearer(refresh))
expect(422, "Signature verification failed", "/protected", bearer(access[:-20] + "A" * 20))
expect(422, "Signature verification failed", "/protected", bearer(forged("at+jwt")))
expect(422, "Not an access token", "/protected", bearer(forged("JWT")))

answer = requests.post(f"{issuer}/refresh", headers=bearer(refresh), timeout=10)
assert answer.status_code == 200, answer.text
refreshed = answer.json()["access_token"]
expect(200, ACCOUNT["email"], "/protected", bearer(refreshed))
expect(401, "Fresh token required", "/fresh", bearer(refreshed))

# By cookie. The cookies are for HTTPS alone, so that the header is written by hand here.
by_cookie = login(delivery="cookie")
value = next(each.value for each in by_cookie.cookies if each.name == "__Host-access_token")
cookie, csrf = {"Cookie": f"__Host-access_token={value}"}, by_cookie.json()["csrf"]
expect(200, ACCOUNT["email"], "/protected", cookie)
expect(401, "Missing CSRF token", "/notes", cookie, "POST")
expect(401, "CSRF double submit tokens do not match", "/notes", cookie | {"X-CSRF-Token": "wrong"}, "POST")
expect(201, ACCOUNT["email"], "/notes", cookie | {"X-CSRF-Token": csrf}, "POST")

# One logout ends one session: its two access tokens, and not those of the other session.
answer = requests.post(f"{issuer}/logout", headers=bearer(access), timeout=10)
assert answer.status_code == 200, answer.text
expect(401, "Token has been revoked", "/protected", bearer(access))
expect(401, "Token has been revoked", "/protected", bearer(refreshed))
expect(200, ACCOUNT["email"], "/protected", cookie)
answer = requests.post(f"{issuer}/logout", headers=cookie | {"X-CSRF-Token": csrf}, timeout=10)
assert answer.status_code == 200, answer.text
expect(401, "Token has been revoked", "/protected", cookie)
