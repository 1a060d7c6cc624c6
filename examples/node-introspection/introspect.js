// Asks auth-service over gRPC whether an access token is active. The token is read from standard input.
//
// Prints one line of JSON. Exit code 0: active, 1: inactive, 2: no answer (the reason is on standard error).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { credentials, loadPackageDefinition, Metadata, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

// The contract is loaded at run time. No code is generated.
const root = join(import.meta.dirname, "../../proto");
const contract = loadSync("auth/v1/introspection.proto", {
  includeDirs: [root],
  keepCase: true,
  longs: Number, // instants are in seconds, so a number holds them exactly
});
const { auth } = loadPackageDefinition(contract);

// The caller's credentials: id and secret, each form-encoded (RFC 6749 §2.3.1).
function basic(id, secret) {
  const encoded = (text) => new URLSearchParams([["", text]]).toString().slice(1);
  return "Basic " + Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString("base64");
}

// A service should create one client and reuse it for all calls.
function introspect(client, authorization, token) {
  const metadata = new Metadata();
  metadata.set("authorization", authorization);
  const options = { deadline: Date.now() + 3000 }; // a call without a deadline can hang for ever
  return new Promise((resolve, reject) => {
    client.Introspect({ token }, metadata, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const { values } = parseArgs({
  options: {
    address: { type: "string", default: "localhost:50051" },
    "client-id": { type: "string", default: "resource-service" },
    "secret-file": { type: "string" },
    "ca-file": { type: "string" }, // CA of the port's certificate; without it, no TLS
    "cert-file": { type: "string" }, // this caller's certificate, if the port requires one
    "key-file": { type: "string" }, // the key of that certificate
  },
});
// Secret and token are not arguments, because every user of the machine can read arguments.
const secret = readFileSync(values["secret-file"], "utf8").trim();
const token = readFileSync(0, "utf8").trim();

// Without TLS only on this machine or in a private network.
const [ca, certificate, key] = ["ca-file", "cert-file", "key-file"].map((name) => values[name] && readFileSync(values[name]));
const channel = ca ? credentials.createSsl(ca, key ?? null, certificate ?? null) : credentials.createInsecure();
const client = new auth.v1.Introspection(values.address, channel);
try {
  const answer = await introspect(client, basic(values["client-id"], secret), token);
  // The answer for an inactive token has no claims and no reason.
  console.log(JSON.stringify(answer.active ? { active: true, claims: answer.claims } : { active: false }));
  process.exitCode = answer.active ? 0 : 1;
} catch (error) {
  // UNAUTHENTICATED: unknown client or wrong secret. PERMISSION_DENIED: the client lacks the scope introspect.
  // UNAVAILABLE, DEADLINE_EXCEEDED: the token's state is unknown; a careful service then refuses it.
  console.error(`${status[error.code] ?? error.code}: ${error.details ?? error.message}`);
  process.exitCode = 2;
} finally {
  client.close();
}
