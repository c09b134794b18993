/**
 * A provider in a process of its own that consents and answers at once: `consent_provider.ts`. It tells its parent where it is, and on
 * each message how long it took over the flows since the last one: nanoseconds by `state`, from the arrival of a request to its answer.
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const accessToken = "a".repeat(1_400);
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "bench", alg: "RS256", use: "sig" }] };
/** By code, which is the `state` that it was given for. */
const nonces = new Map<string, { readonly nonce: string; readonly clientId: string }>();
let spentNs: Record<string, number> = {};
let origin = "";

function spent(state: string, sinceNs: bigint): void {
  spentNs[state] = (spentNs[state] ?? 0) + Number(process.hrtime.bigint() - sinceNs);
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function idToken(code: string): string | undefined {
  const asked = nonces.get(code);
  nonces.delete(code);
  if (asked === undefined) return undefined;
  const seconds = Math.floor(Date.now() / 1_000);
  const sub = createHash("sha256").update(code).digest("hex");
  const times = { iat: seconds, exp: seconds + 3_600 };
  const claims = { iss: origin, sub, aud: asked.clientId, nonce: asked.nonce, ...times };
  const encoded = [{ alg: "RS256", kid: "bench" }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  const signed = encoded.join(".");
  return `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
}

function authorize(query: URLSearchParams, response: ServerResponse): string {
  const state = query.get("state") ?? "";
  const nonce = query.get("nonce");
  if (nonce !== null) nonces.set(state, { nonce, clientId: query.get("client_id") ?? "" });
  const location = new URL(query.get("redirect_uri") ?? "");
  location.searchParams.set("code", state);
  location.searchParams.set("state", state);
  response.writeHead(302, { location: location.href }).end();
  return state;
}

function token(form: URLSearchParams, response: ServerResponse): string {
  const code = form.get("code") ?? "";
  json(response, {
    access_token: accessToken,
    token_type: "Bearer",
    expires_in: 7_200,
    refresh_token: `bench#${code}`,
    id_token: idToken(code),
  });
  return code;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

const server = createServer((request, response) => {
  const sinceNs = process.hrtime.bigint();
  const { pathname, searchParams } = new URL(request.url ?? "/", origin);
  switch (pathname) {
    case "/authorize":
      return spent(authorize(searchParams, response), sinceNs);
    case "/token":
      return void textOf(request).then((text) => spent(token(new URLSearchParams(text), response), sinceNs));
    case "/jwks":
      return json(response, jwks);
    default:
      return json(response, {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        jwks_uri: `${origin}/jwks`,
        id_token_signing_alg_values_supported: ["RS256"],
      });
  }
});
server.listen(0, "127.0.0.1", () => {
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.send?.({ origin });
});
process.on("message", () => {
  process.send?.({ spentNs });
  spentNs = {};
});
process.once("disconnect", () => process.exit(0));
