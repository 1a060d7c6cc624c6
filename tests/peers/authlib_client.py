"""What PyPI's Authlib makes of the issuer: its metadata validated, tokens got in each way that a client may show itself,
asked about, and revoked. Nothing is said to it but what its own documentation says to set; http, which it refuses on its
own, is switched on.

In the environment: ISSUER, and what PEERS names is a file of JSON with the clients. Prints a line for each step.
"""

import json
import os
import pathlib

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests  # noqa: E402
from authlib.integrations.base_client.errors import OAuthError  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session  # noqa: E402
from authlib.oauth2.rfc7523 import PrivateKeyJWT  # noqa: E402
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url  # noqa: E402
from joserfc.jwk import ECKey  # noqa: E402

issuer = os.environ["ISSUER"]
peers = json.loads(pathlib.Path(os.environ["PEERS"]).read_text())

metadata = AuthorizationServerMetadata(requests.get(get_well_known_url(issuer, external=True), timeout=5).json())
metadata.validate_issuer()
metadata.validate_token_endpoint()
metadata.validate_jwks_uri()
metadata.validate_revocation_endpoint()
metadata.validate_introspection_endpoint()
token_endpoint = metadata["token_endpoint"]
print("   Authlib: the metadata is valid by RFC 8414")


def life_of_a_token(session: OAuth2Session, name: str) -> None:
    token = session.fetch_token(token_endpoint, grant_type="client_credentials", scope="documents:read")
    assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", "documents:read", 900), token
    ask = lambda text: session.introspect_token(metadata["introspection_endpoint"], token=text).json()  # noqa: E731
    alive = ask(token["access_token"])
    assert alive["active"] is True and alive["sub"] == name, alive
    for hint in ("access_token", None):
        answer = session.revoke_token(
            metadata["revocation_endpoint"], token=token["access_token"], token_type_hint=hint
        )
        assert answer.status_code == 200, answer
        assert ask(token["access_token"]) == {"active": False}
    assert ask("garbage") == {"active": False}


secret = peers["secret"]
for way in ("client_secret_basic", "client_secret_post"):
    assert way in metadata["token_endpoint_auth_methods_supported"]
    ways = {"token_endpoint_auth_method": way, "revocation_endpoint_auth_method": way}
    session = OAuth2Session(secret["id"], secret["secret"], **ways)
    life_of_a_token(session, secret["id"])
    print(f"   Authlib, {way}: got, introspected and revoked")

for signer in peers["signers"]:
    method = PrivateKeyJWT(token_endpoint, alg=signer["alg"])
    # It reads an RSA key from PEM by itself, and takes others read.
    key = ECKey.import_key(signer["pem"]) if signer["alg"] == "ES256" else signer["pem"]
    ways = {"token_endpoint_auth_method": method.name, "revocation_endpoint_auth_method": method.name}
    session = OAuth2Session(signer["id"], key, **ways)
    session.register_client_auth_method(method)
    life_of_a_token(session, signer["id"])
    print(f"   Authlib, private_key_jwt by {signer['alg']}: got, introspected and revoked")

for session, error in (
    (OAuth2Session(secret["id"], "wrong"), "invalid_client"),
    (OAuth2Session(secret["id"], secret["secret"], scope="documents:write"), "invalid_scope"),
):
    try:
        session.fetch_token(token_endpoint, grant_type="client_credentials")
    except OAuthError as refused:
        assert refused.error == error, refused
    else:
        raise AssertionError(error)
print("   Authlib: a wrong secret and a scope too many are the errors that it knows")
