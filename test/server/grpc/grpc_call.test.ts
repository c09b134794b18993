import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { status } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import type { PresentedCredentials } from "../../../src/domain/access/presented_credentials.js";
import { TokenServiceGetTokenRequestSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { defaultLimits } from "../../../src/model/limits.js";
import { ApiListener } from "../../../src/server/api/api_listener.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { authenticate, FakeServices } from "../fake_services.js";
import { opened } from "../temporary.js";

async function openListener() {
  const fake = new FakeServices();
  const clock = new ManualClock(1_700_000_000_000);
  const path = join(temporaryFolder(), "nexus.sock");
  const asked: PresentedCredentials[] = [];
  await opened(
    new ApiListener({
      name: "grpc",
      clock,
      listen: { kind: "unix", path },
      setting: "NEXUS_GRPC_LISTEN",
      services: fake.services,
      authenticate: (shown) => {
        asked.push(shown);
        return authenticate(shown);
      },
      onUnexpected: fake.onUnexpected,
      bounds: { limits: defaultLimits, clock, onFull: () => undefined },
    }),
  );
  const session = connectHttp2("http://localhost", { createConnection: () => connect(path) });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return { fake, clock, asked, session };
}

/** @param piece how many bytes are written at a time; by default the second begins in the middle of the message */
function getToken(
  session: ClientHttp2Session,
  connectionId: string,
  headers: Record<string, string> = {},
  piece?: number,
) {
  const request = create(TokenServiceGetTokenRequestSchema, { connectionId });
  const frame = encodeEnvelope(0, toBinary(TokenServiceGetTokenRequestSchema, request));
  const stream = session.request({
    ":method": "POST",
    ":path": "/nexus.v1.TokenService/GetToken",
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.resume();
  for (let at = 0; at < frame.length; at += piece ?? 6) stream.write(frame.subarray(at, at + (piece ?? 6)));
  stream.end();
  const response = once(stream, "response").then(([fields]) => fields as Record<string, string>);
  const trailers = once(stream, "trailers").then(([fields]) => fields as Record<string, string>);
  trailers.catch(() => undefined);
  return { response, trailers };
}

test("a compression that is named and not used is served, one that is not known is refused, and told what is", async () => {
  const { session } = await openListener();
  const named = getToken(session, "a", { "grpc-encoding": "gzip" });
  expect(await named.trailers).toMatchObject({ "grpc-status": "0" });
  const unknown = getToken(session, "a", { "grpc-encoding": "zstd" });
  expect(await unknown.response).toMatchObject({ "grpc-accept-encoding": "identity,deflate,gzip" });
  expect(await unknown.trailers).toMatchObject({ "grpc-status": String(status.UNIMPLEMENTED) });
});

test("credentials are verified at each call, whatever its connection showed before", async () => {
  const { session, asked } = await openListener();
  const call = async (headers = {}) => {
    const { response, trailers } = getToken(session, "a", headers);
    await response;
    await trailers;
    return asked.length;
  };
  expect(await call()).toBe(1);
  expect(await call()).toBe(2);
  expect(await call({ "x-api-key": "another" })).toBe(3);
});

test("a deadline that passes ends the call, and tells the handler", async () => {
  const { session, fake, clock } = await openListener();
  const started = fake.next("started");
  const { response } = getToken(session, "hang", { "grpc-timeout": "2S" });
  await started;
  const aborted = fake.next("aborted");
  clock.advance(2_000);
  expect(await response).toMatchObject({ "grpc-status": String(status.DEADLINE_EXCEEDED) });
  await aborted;
  fake.release();
  expect(fake.unexpected).toEqual([]);
});

test("a malformed deadline is refused as ever", async () => {
  const { session } = await openListener();
  const { response } = getToken(session, "a", { "grpc-timeout": "soon" });
  expect(await response).toMatchObject({ "grpc-status": String(status.INTERNAL) });
});

test("a message that comes byte by byte is served", async () => {
  const { session } = await openListener();
  const { trailers } = getToken(session, "a".repeat(20_000), {}, 1);
  expect(await trailers).toMatchObject({ "grpc-status": "0" });
});
