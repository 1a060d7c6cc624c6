// What two OAuth libraries of npm, openid-client and oauth4webapi, make of the issuer: discovered, asked for tokens in each
// way that a client may show itself, asked about tokens, told to revoke them. Nothing is said to them but what their own
// documentation says to set; http, which they refuse on their own, is switched on.
//
// In the environment: ISSUER, and what PEERS names is a file of JSON with the clients. Prints a line for each step.

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";

import * as oauth from "oauth4webapi";
import * as openid from "openid-client";

const issuer = new URL(process.env.ISSUER);
const { secret, signers, user } = JSON.parse(readFileSync(process.env.PEERS, "utf8"));
const insecure = { [oauth.allowInsecureRequests]: true };

const step = (text) => console.log(`   ${text}`);

async function keyOf({ alg, pem }) {
  const algorithm = { ES256: { name: "ECDSA", namedCurve: "P-256" }, RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } };
  const der = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return crypto.subtle.importKey("pkcs8", der, algorithm[alg], false, ["sign"]);
}

// openid-client: the ways in which a client may show itself, by the methods that the metadata names.
const discover = (id, proof, algorithm) =>
  openid.discovery(issuer, id, undefined, proof, { execute: [openid.allowInsecureRequests], algorithm });

async function lifeOfAToken(config, name) {
  const tokens = await openid.clientCredentialsGrant(config, { scope: "documents:read", resource: "resource-service" });
  assert.equal(tokens.token_type, "bearer");
  assert.equal(tokens.scope, "documents:read");
  assert.equal(tokens.expires_in, 900);
  const alive = await openid.tokenIntrospection(config, tokens.access_token);
  assert.equal(alive.active, true);
  assert.equal(alive.sub, name);
  await openid.tokenRevocation(config, tokens.access_token, { token_type_hint: "access_token" });
  assert.deepEqual(await openid.tokenIntrospection(config, tokens.access_token), { active: false });
  await openid.tokenRevocation(config, tokens.access_token);
  await openid.tokenRevocation(config, "garbage");
  assert.deepEqual(await openid.tokenIntrospection(config, "garbage"), { active: false });
}

for (const algorithm of ["oidc", "oauth2"]) {
  for (const [way, proof] of [
    ["client_secret_basic", openid.ClientSecretBasic(secret.secret)],
    ["client_secret_post", openid.ClientSecretPost(secret.secret)],
  ]) {
    const config = await discover(secret.id, proof, algorithm);
    assert.ok(config.serverMetadata().token_endpoint_auth_methods_supported.includes(way));
    await lifeOfAToken(config, secret.id);
    step(`openid-client, ${algorithm} discovery, ${way}: got, introspected and revoked`);
  }
}
for (const signer of signers) {
  const config = await discover(signer.id, openid.PrivateKeyJwt(await keyOf(signer)), "oauth2");
  await lifeOfAToken(config, signer.id);
  step(`openid-client, private_key_jwt by ${signer.alg}: got, introspected and revoked`);
}

const wrong = await discover(secret.id, openid.ClientSecretBasic(`${secret.secret}x`), "oauth2");
await assert.rejects(openid.clientCredentialsGrant(wrong), (error) => error.status === 401 && error.cause !== undefined);
const config = await discover(secret.id, openid.ClientSecretBasic(secret.secret), "oauth2");
await assert.rejects(openid.clientCredentialsGrant(config, { scope: "documents:write" }), { error: "invalid_scope" });
step("openid-client: a wrong secret and a scope too many are the errors that it knows");

const publicClient = await discover("first-party", openid.None(), "oauth2");
const next = await openid.refreshTokenGrant(publicClient, user.refresh_token);
assert.equal((await openid.tokenIntrospection(config, next.access_token)).email, user.email);
assert.deepEqual(await openid.tokenIntrospection(config, next.refresh_token), { active: false });
await openid.tokenRevocation(publicClient, next.refresh_token, { token_type_hint: "refresh_token" });
assert.deepEqual(await openid.tokenIntrospection(config, next.access_token), { active: false });
await assert.rejects(openid.refreshTokenGrant(publicClient, next.refresh_token), { error: "invalid_grant" });
step("openid-client: a user's tokens refreshed and revoked by the public client");

// oauth4webapi: the same from below, and what a resource server does with it.
const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
const server = await oauth.processDiscoveryResponse(issuer, found);
const client = { client_id: secret.id };
const basic = oauth.ClientSecretBasic(secret.secret);
const asked = new URLSearchParams({ scope: "documents:read" });
const answer = await oauth.clientCredentialsGrantRequest(server, client, basic, asked, insecure);
const { access_token } = await oauth.processClientCredentialsResponse(server, client, answer);
const call = new Request("http://localhost/", { headers: { authorization: `Bearer ${access_token}` } });
const claims = await oauth.validateJwtAccessToken(server, call, "resource-service", insecure);
assert.equal(claims.client_id, secret.id);
await assert.rejects(oauth.validateJwtAccessToken(server, call, "somebody-else", insecure));
step("oauth4webapi: discovered, and the access token is valid by RFC 9068");

const signed = { ...insecure, requestJwtResponse: true };
const about = async (token) => {
  const response = await oauth.introspectionRequest(server, client, basic, token, signed);
  assert.equal(response.headers.get("content-type"), "application/token-introspection+jwt");
  const said = await oauth.processIntrospectionResponse(server, client, response);
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  return said;
};
assert.equal((await about(access_token)).active, true);
const revoked = await oauth.revocationRequest(server, client, basic, access_token, insecure);
await oauth.processRevocationResponse(revoked);
assert.equal((await about(access_token)).active, false);
step("oauth4webapi: introspected with signed answers (RFC 9701), and revoked");
