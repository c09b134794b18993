import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { createRegistry } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { AuditService } from "../../../src/gen/nexus/v1/audit_pb.js";
import { messageFromJson } from "../../../src/server/connect/json_request.js";
import { LimitedWorld } from "../../security/limited_world.js";
import { apiKey } from "../fake_services.js";
import { openListener } from "../http_listener_fixture.js";

const getToken = "/nexus.v1.TokenService/GetToken";
const watchTokens = "/nexus.v1.TokenService/WatchTokens";
/** A field of four bytes, of which one is there. */
const malformed = Buffer.from([0x0a, 0x04, 0x61]);
const enveloped = Buffer.concat([Buffer.from([0, 0, 0, 0, malformed.length]), malformed]);

test.each([
  ["application/proto", getToken, malformed, 400, '"code":"invalid_argument"'],
  ["application/connect+proto", watchTokens, enveloped, 200, '"code":"invalid_argument"'],
  ["application/grpc-web+proto", getToken, enveloped, 200, "grpc-status: 3"],
  ["application/grpc-web", watchTokens, enveloped, 200, "grpc-status: 3"],
])("malformed protobuf as %s is INVALID_ARGUMENT", async (type, path, body, status, said) => {
  const { base, fake } = await openListener();
  const headers = { "content-type": type, "x-api-key": apiKey };
  const response = await fetch(base + path, { method: "POST", headers, body: new Uint8Array(body) });
  expect(response.status).toBe(status);
  const fields = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const answer = `${fields}\n${await response.text()}`;
  expect(answer).toContain(said);
  expect(decodeURIComponent(answer)).toMatch(/the request is no well-formed nexus\.v1\./);
  expect(fake.unexpected).toEqual([]);
});

test.each([
  ["malformed", enveloped, "3"],
  ["in two messages", Buffer.concat([Buffer.alloc(5), Buffer.alloc(5)]), "12"],
  ["empty", Buffer.alloc(5), "0"],
])("gRPC over HTTP/2, %s", async (_name, body, expected) => {
  const { base } = await openListener();
  const session = connectHttp2(base);
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  const type = { "content-type": "application/grpc", te: "trailers" };
  const stream = session.request({ ":method": "POST", ":path": getToken, ...type, "x-api-key": apiKey });
  stream.on("error", () => undefined);
  let said = "";
  const read = (fields: Record<string, unknown>): void => {
    said = String(fields["grpc-status"] ?? said);
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.resume();
  // In pieces.
  for (const byte of body) stream.write(Buffer.from([byte]));
  stream.end();
  await once(stream, "close");
  expect(said).toBe(expected);
});

test.each([
  ["2020-02-30T00:00:00Z", /^since: /],
  ["2021-02-29T00:00:00Z", /^since: /],
  ["2020-02-29T00:00:00Z", undefined],
])("JSON with the time %s", (since, refusal) => {
  const { input } = AuditService.method.listAuditEvents;
  const read = () => messageFromJson(input, Buffer.from(JSON.stringify({ since })), createRegistry());
  if (refusal === undefined) expect(read()).toMatchObject({ since: { seconds: 1_582_934_400n } });
  else expect(read).toThrow(refusal);
});

test("a day that no month has is INVALID_ARGUMENT over Connect", async () => {
  const { place } = await LimitedWorld.make({});
  const response = await fetch(`${place.httpUrl}/nexus.v1.AuditService/ListAuditEvents`, {
    method: "POST",
    headers: { "content-type": "application/json; charset=utf-8", "x-api-key": place.apiKey },
    body: JSON.stringify({ since: "2020-02-30T00:00:00Z" }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: "invalid_argument",
    message: expect.stringMatching(/^since: /),
  });
});
