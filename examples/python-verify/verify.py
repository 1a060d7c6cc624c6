"""Verifies an access token with the issuer's published keys. The token is read from standard input.

Prints the claims as one line of JSON. Exit code 0: accepted, 1: refused (the reason is on standard error).
"""

import argparse
import json
import sys

import jwt


class Verifier:
    """Create one and reuse it. It caches the keys, and fetches them again when they age or a token names an unknown key."""

    def __init__(self, issuer: str, audience: str) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", timeout=3)

    def verify(self, token: str) -> dict:
        """Returns the claims of an accepted token. Raises jwt.PyJWTError for a refused one."""
        if len(token) > 8192:
            raise jwt.InvalidTokenError("longer than 8 KiB")
        verified = jwt.decode_complete(
            token,
            self.keys.get_signing_key_from_jwt(token),
            # The verifier chooses the algorithm, not the token. That refuses forgeries with "none" and HS256.
            algorithms=["RS256"],
            issuer=self.issuer,
            audience=self.audience,
            # PyJWT checks these claims if they are present. `require` makes them mandatory.
            options={"require": ["iss", "sub", "aud", "exp"]},
        )
        # RFC 9068 §4: only access tokens are accepted, not other JWTs that the issuer signs.
        if str(verified["header"].get("typ")).lower() not in ("at+jwt", "application/at+jwt"):
            raise jwt.InvalidTokenError("not of type at+jwt")
        return verified["payload"]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--issuer", default="http://localhost:8080", help="the issuer's URL, exactly as auth-service is configured")
    arguments.add_argument("--audience", default="resource-service", help="the audience that tokens must be for: your service")
    options = arguments.parse_args()
    try:
        claims = Verifier(options.issuer, options.audience).verify(sys.stdin.read().strip())
    except jwt.PyJWTError as error:
        # This is for the log. A client should learn only "expired" or "invalid".
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(claims))
    return 0


if __name__ == "__main__":
    sys.exit(main())
