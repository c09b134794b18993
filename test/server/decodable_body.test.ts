import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { expect, onTestFinished, test } from "vitest";
import { apiKey } from "./fake_services.js";
import { openDoor } from "./http_door_fixture.js";

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
  const { base, fake } = await openDoor();
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
  const { base } = await openDoor();
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
