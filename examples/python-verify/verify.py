"""Verifies an access token with the issuer's published keys: no call to the issuer per token. It comes on standard input.

Prints the claims as one line of JSON. Exit code 0: accepted, 1: refused (the reason is on standard error).
"""

import argparse
import json
import sys

import jwt


class Verifier:
    """Make one, and keep it: it holds the keys, fetches them anew when they age, and when a token has an unknown one."""

    def __init__(self, issuer: str, audience: str) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", timeout=3)

    def verify(self, token: str) -> dict:
        """The claims of a token that is accepted. A token that is refused raises jwt.PyJWTError."""
        if len(token) > 8192:
            raise jwt.InvalidTokenError("longer than 8 KiB")
        verified = jwt.decode_complete(
            token,
            self.keys.get_signing_key_from_jwt(token),
            # The verifier chooses the algorithm, never the token. That keeps out forgeries with "none" and HS256.
            algorithms=["RS256"],
            issuer=self.issuer,
            audience=self.audience,
            # PyJWT checks these when they are there; that they must be there has to be said.
            options={"require": ["iss", "sub", "aud", "exp"]},
        )
        # RFC 9068 §4: an access token, and nothing else that the issuer may sign.
        if str(verified["header"].get("typ")).lower() not in ("at+jwt", "application/at+jwt"):
            raise jwt.InvalidTokenError("not of type at+jwt")
        return verified["payload"]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--issuer", default="http://localhost:8080", help="exactly as auth-service is configured")
    arguments.add_argument("--audience", default="resource-service", help="whom tokens must be for: you")
    options = arguments.parse_args()
    try:
        claims = Verifier(options.issuer, options.audience).verify(sys.stdin.read().strip())
    except jwt.PyJWTError as error:
        # For the log. Tell a client no more than "expired" or "invalid".
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(claims))
    return 0


if __name__ == "__main__":
    sys.exit(main())
