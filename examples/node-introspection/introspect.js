// Asks auth-service over gRPC whether an access token is alive. The token comes on standard input.
//
// Prints one line of JSON. Exit code 0: active, 1: inactive, 2: no answer (the reason is on standard error).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { credentials, loadPackageDefinition, Metadata, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

// The contract is read as it is: nothing is generated.
const root = join(import.meta.dirname, "../../proto");
const contract = loadSync("auth/v1/introspection.proto", {
  includeDirs: [root],
  keepCase: true,
  longs: Number, // instants are seconds, far below what a number holds exactly
});
const { auth } = loadPackageDefinition(contract);

// Who is asking: id and secret, each form-encoded, as RFC 6749 §2.3.1 wants it.
function basic(id, secret) {
  const encoded = (text) => new URLSearchParams([["", text]]).toString().slice(1);
  return "Basic " + Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString("base64");
}

// A service keeps one client, and asks over it again and again.
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
    "ca-file": { type: "string" }, // whose certificate the port shows; without it no TLS
    "cert-file": { type: "string" }, // this caller's own certificate, if the port asks for one
    "key-file": { type: "string" }, // and its key
  },
});
// Neither secret nor token is an argument: everybody on the machine can read those.
const secret = readFileSync(values["secret-file"], "utf8").trim();
const token = readFileSync(0, "utf8").trim();

// In the clear: for this machine and private networks.
const [ca, certificate, key] = ["ca-file", "cert-file", "key-file"].map((name) => values[name] && readFileSync(values[name]));
const channel = ca ? credentials.createSsl(ca, key ?? null, certificate ?? null) : credentials.createInsecure();
const client = new auth.v1.Introspection(values.address, channel);
try {
  const answer = await introspect(client, basic(values["client-id"], secret), token);
  // An inactive token has no claims, and the caller learns nothing else about it.
  console.log(JSON.stringify(answer.active ? { active: true, claims: answer.claims } : { active: false }));
  process.exitCode = answer.active ? 0 : 1;
} catch (error) {
  // UNAUTHENTICATED: unknown client or wrong secret. PERMISSION_DENIED: the client lacks the scope introspect.
  // UNAVAILABLE, DEADLINE_EXCEEDED: nothing is known of the token; a careful service then refuses it.
  console.error(`${status[error.code] ?? error.code}: ${error.details ?? error.message}`);
  process.exitCode = 2;
} finally {
  client.close();
}
