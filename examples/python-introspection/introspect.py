"""Asks auth-service over gRPC whether an access token is active. The token is read from standard input.

Prints one line of JSON. Exit code 0: active, 1: inactive, 2: no answer (the reason is on standard error).
"""

import argparse
import base64
import json
import pathlib
import sys
import urllib.parse

import grpc
from google.protobuf.json_format import MessageToDict

# grpcio-tools generates these modules from the contract; the README has the command.
sys.path.append(str(pathlib.Path(__file__).parent / "generated"))
from auth.v1 import introspection_pb2, introspection_pb2_grpc  # noqa: E402


def basic(client_id: str, secret: str) -> str:
    """Returns the caller's credentials: id and secret, each form-encoded (RFC 6749 §2.3.1)."""
    pair = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def connect(address: str, ca: bytes | None, certificate: bytes | None, key: bytes | None) -> grpc.Channel:
    # Without TLS only on this machine or in a private network. A service should create one channel and reuse it.
    if ca is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, certificate))


def introspect(channel: grpc.Channel, client_id: str, secret: str, token: str) -> dict:
    with channel:
        answer = introspection_pb2_grpc.IntrospectionStub(channel).Introspect(
            introspection_pb2.IntrospectRequest(token=token),
            metadata=[("authorization", basic(client_id, secret))],
            timeout=3,  # seconds; a call without a deadline can hang for ever
        )
    # The answer for an inactive token has no claims and no reason.
    if not answer.active:
        return {"active": False}
    # The JSON mapping of protobuf writes int64 as text: "exp": "1800000900". answer.claims.exp is an int.
    return {"active": True, "claims": MessageToDict(answer.claims, preserving_proto_field_name=True)}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--address", default="localhost:50051", help="auth-service's gRPC port")
    arguments.add_argument("--client-id", default="resource-service", help="a client with the scope introspect")
    arguments.add_argument("--secret-file", required=True, type=pathlib.Path, help="file with that client's secret")
    arguments.add_argument("--ca-file", type=pathlib.Path, help="CA of the port's certificate; without it, no TLS")
    arguments.add_argument("--cert-file", type=pathlib.Path, help="this caller's certificate, if the port requires one")
    arguments.add_argument("--key-file", type=pathlib.Path, help="the key of that certificate")
    options = arguments.parse_args()
    # Secret and token are not arguments, because every user of the machine can read arguments.
    secret = options.secret_file.read_text().strip()
    token = sys.stdin.read().strip()
    files = [options.ca_file, options.cert_file, options.key_file]
    channel = connect(options.address, *(file and file.read_bytes() for file in files))
    try:
        answer = introspect(channel, options.client_id, secret, token)
    except grpc.RpcError as error:
        # UNAUTHENTICATED: unknown client or wrong secret. PERMISSION_DENIED: the client lacks the scope introspect.
        # UNAVAILABLE, DEADLINE_EXCEEDED: the token's state is unknown; a careful service then refuses it.
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 2
    print(json.dumps(answer))
    return 0 if answer["active"] else 1


if __name__ == "__main__":
    sys.exit(main())
