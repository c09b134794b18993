/** Providers in a process of their own: `live` rotates, `limited` answers 429, `dead` takes requests and never answers. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface StormReport {
  readonly requests: Readonly<Record<string, number>>;
  readonly maxInFlight: Readonly<Record<string, number>>;
  /** Refresh tokens that came again after they had been redeemed, and requests of one connection that overlapped. */
  readonly duplicates: number;
}

const requests: Record<string, number> = {};
const inFlight: Record<string, number> = {};
const maxInFlight: Record<string, number> = {};
/** Of each connection, the number of the token that is good. */
const current = new Map<string, number>();
const busy = new Set<string>();
let duplicates = 0;

const http = createServer(async (request, response) => {
  const provider = request.url?.split("/")[1] ?? "";
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const token = new URLSearchParams(Buffer.concat(chunks).toString()).get("refresh_token") ?? "";
  const [connection = "", number = ""] = token.split("#");
  requests[provider] = (requests[provider] ?? 0) + 1;
  inFlight[provider] = (inFlight[provider] ?? 0) + 1;
  maxInFlight[provider] = Math.max(maxInFlight[provider] ?? 0, inFlight[provider]);
  if (busy.has(connection)) duplicates++;
  busy.add(connection);
  response.on("close", () => {
    inFlight[provider] = (inFlight[provider] ?? 1) - 1;
    busy.delete(connection);
  });
  if (provider === "dead") return;
  if (provider === "limited") {
    response.writeHead(429, { "retry-after": "600" }).end();
    return;
  }
  const good = current.get(connection) ?? 1;
  if (Number(number) !== good) duplicates++;
  current.set(connection, good + 1);
  // What a provider next listener takes.
  setTimeout(() => {
    response.writeHead(200, { "content-type": "application/json" });
    const refresh_token = `${connection}#${good + 1}`;
    response.end(
      JSON.stringify({ access_token: "at", token_type: "Bearer", expires_in: 3600, refresh_token }),
    );
  }, 20);
});
http.listen(0, "127.0.0.1", () => {
  process.send?.({ origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}` });
});
process.on("message", () => {
  process.send?.({ requests, maxInFlight, duplicates } satisfies StormReport);
});
process.on("disconnect", () => process.exit());
