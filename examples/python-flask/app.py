"""A Flask app that keeps Flask-JWT-Extended: auth-service makes the tokens, this app verifies them."""

import os
import pathlib

import jwt
import requests
from flask import Flask, request
from flask_jwt_extended import JWTManager, get_jwt, jwt_required

ISSUER = os.environ.get("ISSUER", "http://localhost:8080")
AUDIENCE = "resource-service"  # this app's name in the tokens
CLIENT_ID = "resource-service"  # a client of auth-service with the scope `introspect` and this audience
CLIENT_SECRET = pathlib.Path(os.environ["SECRET_FILE"]).read_text(encoding="utf-8").strip()
COOKIE = "__Host-access_token"  # with AUTH_COOKIE_DOMAIN at auth-service: "__Secure-access_token"

app = Flask(__name__)
app.config.update(
    JWT_ALGORITHM="RS256",
    JWT_DECODE_ISSUER=ISSUER,
    JWT_DECODE_AUDIENCE=AUDIENCE,
    JWT_DECODE_LEEWAY=5,  # seconds: without it a clock that is one second slow refuses new tokens
    JWT_TOKEN_LOCATION=["headers", "cookies"],
    JWT_ACCESS_COOKIE_NAME=COOKIE,
)
manager = JWTManager(app)
keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", timeout=3)


@manager.decode_key_loader
def key(header, _claims):
    if header.get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("Not an access token")
    return keys.get_signing_key(header.get("kid")).key


@manager.token_in_blocklist_loader
def is_revoked(_header, claims):
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    form = {"token": token if scheme == "Bearer" else request.cookies.get(COOKIE)}
    answer = requests.post(f"{ISSUER}/oauth/introspect", form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=3)
    answer.raise_for_status()
    state = answer.json()
    return not state["active"] or state["jti"] != claims["jti"]


@app.errorhandler(jwt.PyJWKClientError)
def unknown_key(_error):
    return {"msg": "Signature verification failed"}, 422


@app.errorhandler(jwt.PyJWKClientConnectionError)
@app.errorhandler(requests.RequestException)
def issuer_is_down(error):
    app.logger.error("auth-service can't be asked: %s", error)
    return {"msg": "This service can't check tokens right now"}, 503


@app.get("/protected")
@jwt_required()
def protected():
    return {"logged_in_as": get_jwt()["email"]}


@app.post("/notes")
@jwt_required()
def add_note():
    return {"by": get_jwt()["email"]}, 201


@app.get("/fresh")
@jwt_required(fresh=True)
def fresh():
    return {"fresh": True}
