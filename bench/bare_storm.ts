/**
 * node:http and lmdb and nothing else: `bare_storm.ts PROVIDER FOLDER COUNT` refreshes COUNT tokens, 16 at once: a durable mark, a token
 * request over a connection of its own, a seal, and a durable commit. Tells how much CPU one took, threads included, in ms.
 */
import { createCipheriv, randomBytes } from "node:crypto";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { open } from "lmdb";

const atOnce = 16;
const [provider = "", folder = "", count = "0"] = process.argv.slice(2);
const store = open<Buffer, string>({
  path: join(folder, "bare.mdb"),
  encoding: "binary",
  cache: false,
  overlappingSync: false,
  eventTurnBatching: false,
});
const key = randomBytes(32);

function seal(text: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

async function refreshed(index: number): Promise<void> {
  await store.put(`${index}`, Buffer.from("sent"));
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: `bare-${index}#1`,
    client_id: "bench",
  }).toString();
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { "content-type": "application/x-www-form-urlencoded", "content-length": body.length };
    request(`${provider}/live/token`, { method: "POST", headers, agent: false }, resolve)
      .once("error", reject)
      .end(body);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const token = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { access_token: string };
  await store.put(`${index}`, seal(JSON.stringify(token)));
}

let next = 0;
async function work(): Promise<void> {
  while (next < Number(count)) await refreshed(next++);
}

const before = process.cpuUsage();
await Promise.all(Array.from({ length: atOnce }, work));
const { user, system } = process.cpuUsage(before);
process.send?.((user + system) / 1_000 / Number(count));
await store.close();
process.disconnect?.();
