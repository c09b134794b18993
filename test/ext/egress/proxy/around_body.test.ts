import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as requestTls } from "node:https";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { perTest } from "../../../lifetimes.js";
import { canary, EgressWorld, tokenOf } from "./egress_world.js";

const egress = perTest(() => EgressWorld.start());
const host = (): string => `api.localhost:${egress.port}`;

interface Arrived {
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly announced: unknown;
  readonly body: string;
}

/** What the API gets, as it comes. */
function arriving(answer = (response: ServerResponse): unknown => response.end("ok")): Arrived[] {
  const arrived: Arrived[] = [];
  egress.api.serve = async (request, response) => {
    const body = await text(request);
    arrived.push({
      trailers: Object.fromEntries(Object.entries(request.trailers)),
      announced: request.headers.trailer,
      body,
    });
    answer(response);
  };
  return arrived;
}

/** Sends `body` with trailers, announced by `Trailer`. @returns the status */
async function sendWith(
  version: 1 | 2,
  trailers: Record<string, string>,
  announced: string,
  method = "POST",
) {
  const fields = { trailer: announced, "x-seen": "before" };
  if (version === 1) {
    const socket = await egress.tls("api.localhost", ["http/1.1"]);
    const headers = { host: host(), ...fields, "transfer-encoding": "chunked" };
    const sent = requestTls({ createConnection: () => socket, method, path: "/v1/up", headers });
    sent.write("body");
    sent.addTrailers(trailers);
    sent.end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    await text(answer);
    socket.destroy();
    return answer.statusCode;
  }
  const socket = await egress.tls("api.localhost", ["h2"]);
  const session = connectHttp2(`https://${host()}`, { createConnection: () => socket });
  const head = { ":method": method, ":path": "/v1/up", ...fields };
  const stream = session.request(head, { endStream: false, waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end("body");
  const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
  await text(stream);
  session.destroy();
  return answer[":status"];
}

describe.each([1, 2] as const)("over HTTP/%i, trailers of a request", (version) => {
  it.each(["POST", "DELETE"])("that it announces reach the API (%s)", async (method) => {
    const arrived = arriving();
    expect(await sendWith(version, { "x-digest": "sha-256=:abc:" }, "X-Digest", method)).toBe(200);
    expect(arrived).toEqual([
      { trailers: { "x-digest": "sha-256=:abc:" }, announced: "x-digest", body: "body" },
    ]);
  });

  it("say nothing that must stand before a body, and none that is judged or put in", async () => {
    const arrived = arriving();
    const trailers = {
      "x-api-key": "own",
      ...{ authorization: "Bearer own", cookie: "a=b", "x-amz-security-token": "own", dpop: "own" },
      ...{ "x-http-method-override": "DELETE", "x-original-url": "/admin", "content-type": "text/html" },
      ...{ "x-forwarded-host": "other", "x-seen": "behind", "x-unannounced": "x", "x-digest": "ok" },
      "x-placeholder": "nexusdPlaceholderKqv-acme",
    };
    const { "x-unannounced": _, ...announced } = trailers;
    await sendWith(version, trailers, `${Object.keys(announced).join(", ")}, content-length, host, te`);
    expect(arrived.map(({ trailers: passed }) => passed)).toEqual([{ "x-digest": "ok" }]);
  });

  it("go with it when it is sent once more", async () => {
    egress.acquired = [tokenOf("stale-key-5e6f7a8b"), tokenOf(canary, 2n)];
    let times = 0;
    const arrived = arriving((response) => response.writeHead(times++ === 0 ? 401 : 200).end());
    expect(await sendWith(version, { "x-digest": "d" }, "x-digest")).toBe(200);
    expect(arrived.map(({ trailers, body }) => [trailers, body])).toEqual(
      Array(2).fill([{ "x-digest": "d" }, "body"]),
    );
  });
});

describe.each([1, 2] as const)("over HTTP/%i, early hints of an API", (version) => {
  it("reach the program before the answer, without the credential", async () => {
    const link = `</style.css?${canary}>; rel=preload; as=style`;
    let answer = (): unknown => undefined;
    egress.api.serve = (_, response) => {
      response.writeEarlyHints({ link });
      answer = () => response.end("ok");
    };
    const { sent, answered, close } = await egress.open("/v1/page", { version });
    const hints: unknown[] = [];
    if (version === 1)
      sent.on("information", ({ statusCode, headers }) => hints.push([statusCode, headers.link]));
    else sent.on("headers", (fields) => hints.push([fields[":status"], fields.link]));
    sent.end();
    await expect.poll(() => hints).toEqual([[103, link.replace(canary, "*".repeat(canary.length))]]);
    answer();
    const { status, body } = await answered;
    expect([status, await text(body)]).toEqual([200, "ok"]);
    close();
  });

  it("are eight at most", async () => {
    egress.api.serve = (_, response) => {
      for (let at = 0; at < 100; at++) response.writeEarlyHints({ link: `</${at}>; rel=preload` });
      response.end("ok");
    };
    const { sent, answered, close } = await egress.open("/v1/page", { version });
    let hints = 0;
    sent.on(version === 1 ? "information" : "headers", () => hints++);
    sent.end();
    await text((await answered).body);
    expect(hints).toBe(8);
    close();
  });
});
