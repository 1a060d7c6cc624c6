"""Rotates the issuer's signing key under load, while PyJWT's own key client verifies: no good token may be refused.

Environment: ISSUER, BINARY (auth-service, with the environment of the one that runs), CLIENT_ID, CLIENT_SECRET, ROTATIONS;
and MAX_AGE, when the issuer's AUTH_JWKS_MAX_AGE is not the default: then the client keeps the key set for so many seconds, and has no
cool-down. Without it everything is at its defaults, on both sides.
"""

import json
import os
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from base64 import b64encode

import jwt

issuer, rotations = os.environ["ISSUER"], int(os.environ["ROTATIONS"])
credentials = b64encode(f"{os.environ['CLIENT_ID']}:{os.environ['CLIENT_SECRET']}".encode()).decode()
options = {"lifespan": int(os.environ["MAX_AGE"]), "cooldown_duration": 0} if "MAX_AGE" in os.environ else {}
keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", **options)
form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "documents:read"}).encode()
over, kids, kept, refused = threading.Event(), set(), [], []
shown = 0


def new_token() -> str:
    request = urllib.request.Request(f"{issuer}/oauth/token", form, {"Authorization": f"Basic {credentials}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["access_token"]


def show() -> None:
    global shown
    while not over.is_set():
        token = new_token()
        kids.add(jwt.get_unverified_header(token)["kid"])
        for each in [token, *kept[:1], *kept[-1:]]:
            try:
                key = keys.get_signing_key_from_jwt(each)
                jwt.decode(each, key, algorithms=["RS256"], issuer=issuer, audience="resource-service")
            except jwt.PyJWTError as error:
                refused.append(f"{type(error).__name__}: {error}")
            shown += 1
        kept.append(token)
        del kept[:-50]


def main() -> int:
    showing = threading.Thread(target=show, daemon=True)
    showing.start()
    for _ in range(rotations):
        subprocess.run([os.environ["BINARY"], "key", "rotate", "--wait"], check=True, stdout=subprocess.DEVNULL, timeout=3_600)
        before = shown
        while shown < before + 20 and showing.is_alive():
            showing.join(0.01)
    over.set()
    showing.join(30)
    print(f"   {rotations} rotations, {len(kids)} keys, {shown} tokens shown, {len(refused)} refused")
    for reason in refused[:5]:
        print(f"   {reason}")
    return 0 if not refused and len(kids) == rotations + 1 else 1


if __name__ == "__main__":
    sys.exit(main())
