import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { WatchTokensResponseSchema } from "../../../../src/gen/nexus/v1/token_pb.js";
import { perTest } from "../../../lifetimes.js";
import { bookmark, EgressWorld, refusal, toldOf } from "./egress_world.js";

const removed = create(WatchTokensResponseSchema, {
  event: { case: "removed", value: { connectionId: "c1" } },
});
const egress = perTest(() => EgressWorld.start());

/** A stream that never ends by itself. */
function endless(): void {
  egress.respond = (_, response) => void response.writeHead(200).write("first ");
}

async function webSocket(): Promise<TLSSocket> {
  const socket = await egress.tls("api.localhost", ["http/1.1"]);
  const head = `host: api.localhost:${egress.port}\r\nconnection: Upgrade\r\nupgrade: websocket`;
  socket.write(`GET /v1/live HTTP/1.1\r\n${head}\r\n\r\n`);
  const [first] = await once(socket, "data");
  expect(String(first)).toMatch(/^HTTP\/1.1 101/);
  return socket;
}

describe.each([
  ["is revoked", [toldOf(ConnectionStatus.REVOKED)]],
  ["expires", [toldOf(ConnectionStatus.EXPIRED)]],
  ["leaves what the caller may see", [removed]],
  ["is not there when the daemon's stream opens again", [new Error("drained"), bookmark]],
  ["may not be used by its caller any more", [refusal]],
] as const)("when a connection %s", (what, events) => {
  it.each([1, 2] as const)("a stream over HTTP/%i ends as one that broke off", async (version) => {
    endless();
    const answer = egress.ask("/v1/stream", { version });
    const settled = answer.then(
      () => "whole",
      () => "broken off",
    );
    await expect.poll(() => egress.received.length).toBe(1);
    if (what.includes("opens again")) egress.forget();
    for (const event of events) egress.tell(event);
    expect(await settled).toBe("broken off");
  });

  it("a WebSocket is closed", async () => {
    const socket = await webSocket();
    if (what.includes("opens again")) egress.forget();
    for (const event of events) egress.tell(event);
    await once(socket.resume(), "close");
  });
});

it("streams go on when the token is refreshed, the daemon is away, or another connection of that name ends", async () => {
  const socket = await webSocket();
  egress.tell(toldOf(ConnectionStatus.ACTIVE, { revision: 2n }));
  egress.tell(toldOf(ConnectionStatus.REVOKED, { connectionId: "older" }));
  egress.tell(toldOf(ConnectionStatus.ATTENTION));
  egress.tell(new Error("the daemon is away"));
  egress.tell(bookmark);
  await expect.poll(() => egress.watches).toBe(2);
  socket.write("ping");
  const [echoed] = await once(socket, "data");
  expect(String(echoed)).toBe("ping");
  socket.destroy();
});
