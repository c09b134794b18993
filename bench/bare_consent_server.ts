/**
 * node:http and lmdb and nothing else: `bare_consent_server.ts PROVIDER FOLDER`. What no consent flow can do without: a durable commit
 * before the link leaves, the redirect, one token request, the id_token's signature where there is one, a seal, and a durable commit
 * before the browser is sent on.
 */
import {
  createCipheriv,
  createHash,
  createPublicKey,
  type JsonWebKeyInput,
  randomBytes,
  verify,
} from "node:crypto";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { open } from "lmdb";

const [provider = "", folder = ""] = process.argv.slice(2);
const store = open<Buffer, string>({
  path: join(folder, "bare.mdb"),
  encoding: "binary",
  cache: false,
  overlappingSync: false,
  eventTurnBatching: false,
});
const key = randomBytes(32);
const jwks = (await (await fetch(`${provider}/jwks`)).json()) as { keys: JsonWebKeyInput["key"][] };
const [jwk = {}] = jwks.keys;
const signingKey = createPublicKey({ key: jwk, format: "jwk" });
let origin = "";

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function seal(text: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

async function exchange(code: string, verifier: string): Promise<string> {
  const form = { grant_type: "authorization_code", code, code_verifier: verifier };
  const redirect = { redirect_uri: `${origin}/auth/callback`, client_id: "bench", client_secret: "secret" };
  const body = new URLSearchParams({ ...form, ...redirect }).toString();
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "content-length": Buffer.byteLength(body),
    };
    request(`${provider}/token`, { method: "POST", headers }, resolve).once("error", reject).end(body);
  });
  return await textOf(answer);
}

function isVerified(idToken: string, nonce: string): boolean {
  const [head = "", claims = "", signature = ""] = idToken.split(".");
  const read = JSON.parse(Buffer.from(claims, "base64url").toString("utf8")) as { nonce?: string };
  const signed = Buffer.from(`${head}.${claims}`);
  return read.nonce === nonce && verify("sha256", signed, signingKey, Buffer.from(signature, "base64url"));
}

interface Pending {
  readonly verifier: string;
  readonly nonce: string | undefined;
  readonly returnUrl: string;
}

async function requested(message: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = JSON.parse(await textOf(message)) as { return_url: string; scopes: string[] };
  const state = randomBytes(32).toString("base64url");
  const nonce = asked.scopes.includes("openid") ? randomBytes(32).toString("base64url") : undefined;
  const pending = { verifier: randomBytes(32).toString("base64url"), nonce, returnUrl: asked.return_url };
  await store.put(state, Buffer.from(JSON.stringify(pending)));
  const authUrl = `${origin}/auth/start?state=${state}`;
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ authUrl, state }));
}

function pendingOf(state: string): Pending {
  return JSON.parse(store.get(state)?.toString("utf8") ?? "null") as Pending;
}

function started(state: string, response: ServerResponse): void {
  const { verifier, nonce } = pendingOf(state);
  const location = new URL(`${provider}/authorize`);
  const challenge = createHash("sha256").update(verifier).digest("base64url");
  const redirectUri = `${origin}/auth/callback`;
  const query = { response_type: "code", client_id: "bench", state, code_challenge: challenge };
  location.search = new URLSearchParams({ ...query, redirect_uri: redirectUri }).toString();
  if (nonce !== undefined) location.searchParams.set("nonce", nonce);
  response.writeHead(302, { location: location.href, "set-cookie": `bind=${state}; HttpOnly` }).end();
}

async function finished(query: URLSearchParams, response: ServerResponse): Promise<void> {
  const state = query.get("state") ?? "";
  const { verifier, nonce, returnUrl } = pendingOf(state);
  const text = await exchange(query.get("code") ?? "", verifier);
  const { id_token: idToken } = JSON.parse(text) as { id_token?: string };
  if (nonce !== undefined && !isVerified(idToken ?? "", nonce)) throw new Error("the id_token is not good");
  await store.put(state, seal(text));
  response.writeHead(303, { location: `${returnUrl}?status=success` }).end();
}

const server = createServer((message, response) => {
  const { pathname, searchParams } = new URL(message.url ?? "/", origin);
  if (pathname === "/auth/start") started(searchParams.get("state") ?? "", response);
  else if (pathname === "/auth/callback") void finished(searchParams, response);
  else void requested(message, response);
});
server.listen(0, "127.0.0.1", () => {
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.send?.({ origin });
});
process.once("disconnect", () => process.exit(0));
