import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { placeholderOf } from "../../../../src/catalogue/catalogue.js";
import { applyStrategy } from "../../../../src/strategies/apply_strategy.js";
import { AwsChunks } from "../../../../src/strategies/aws_chunks.js";
import { perTest } from "../../../lifetimes.js";
import type { Received } from "../api_stand_in.js";
import { EgressWorld } from "./egress_world.js";

const credentials = { access_key: "AKIDOFADA", secret_key: "secret-of-ada-5e1f" };
const hash = "x-amz-content-sha256";
const mebibyte = 1024 * 1024;
const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** How AWS signs what the API got, as its headers say. */
async function signatureOf({ method, path, headers }: Received, service: string): Promise<unknown> {
  const { authorization: _, connection: __, ...own } = headers as Record<string, string>;
  const [, day, time] = /^(\d{8})T(\d{6})Z$/.exec(own["x-amz-date"] ?? "") ?? [];
  const at = `${day}T${time}Z`.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z");
  const strategy = { type: "aws_sigv4", config: { service, region: "eu-west-1" } };
  const request = { method, url: `https://${own["host"]}${path}`, headers: own };
  const options = { clock: { nowMs: () => Date.parse(at) }, bodyHash: "declared" } as const;
  return (await applyStrategy(request, strategy, credentials, options)).headers["authorization"];
}

function worldOf(service: string) {
  const egress = perTest(async () => {
    const world = await EgressWorld.start();
    const strategy = { kind: { case: "awsSigv4" as const, value: { service, region: "eu-west-1" } } };
    world.acquired = [{ result: { case: "token", value: { revision: 1n, credentials, strategy } } }];
    return world;
  });
  const put = (headers: Record<string, string>, body: string, path = "/v1/bucket/key") =>
    egress.ask(path, {
      method: "PUT",
      headers: { authorization: "AWS4-HMAC-SHA256 of nobody", ...headers },
      body,
    });
  return { egress, put };
}

describe("a request that is signed for S3", () => {
  const { egress, put } = worldOf("s3");
  const trailing = "2\r\nhi\r\n0\r\nx-amz-checksum-crc32:2Y8s2A==\r\n\r\n";

  it.each([
    ["in chunks with a checksum behind them", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", trailing],
    ["unsigned", "UNSIGNED-PAYLOAD", "hi"],
    ["by its hash", digestOf("hi"), "hi"],
  ])("is signed as what it is, %s", async (_, form, body) => {
    await put({ [hash]: form, "content-encoding": "aws-chunked", "x-amz-security-token": "of nobody" }, body);
    const [got] = egress.received as [Received];
    expect(got.body).toBe(body);
    expect(got.headers).toMatchObject({ [hash]: form, "content-length": String(body.length) });
    expect(got.headers["authorization"]).toBe(await signatureOf(got, "s3"));
    expect(got.headers["authorization"]).toContain("Credential=AKIDOFADA/");
    expect(got.headers).not.toHaveProperty("x-amz-security-token");
  });

  it.each([
    ["that says nothing of its body", {}],
    ["that says so", { [hash]: "UNSIGNED-PAYLOAD" }],
  ])("streams a body of any size, for a program %s", async (_, headers) => {
    const body = "x".repeat(12 * mebibyte);
    expect((await put(headers, body)).status).toBe(200);
    const [got] = egress.received as [Received];
    expect(digestOf(got.body)).toBe(digestOf(body));
    expect(got.headers).toMatchObject({ [hash]: "UNSIGNED-PAYLOAD" });
    expect(got.headers["authorization"]).toBe(await signatureOf(got, "s3"));
  });

  const signedBefore = "0".repeat(64);
  const chunks = [100_000, 70_000, 0].map((bytes) => {
    const data = "x".repeat(bytes);
    return `${bytes.toString(16)};chunk-signature=${signedBefore}\r\n${data}${bytes > 0 ? "\r\n" : ""}`;
  });
  const end = `x-amz-checksum-crc32:2Y8s2A==\r\nx-amz-trailer-signature:${signedBefore}\r\n`;

  it.each([
    ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", `${chunks.join("")}\r\n`],
    ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", `${chunks.join("")}${end}\r\n`],
  ])("has its chunks signed again: %s", async (form, body) => {
    await put({ [hash]: form }, body);
    const [got] = egress.received as [Received];
    expect(got.headers["authorization"]).toBe(await signatureOf(got, "s3"));
    expect(got.headers).toMatchObject({ [hash]: form, "content-length": String(body.length) });
    expect(got.body).not.toContain(signedBefore);
    const strategy = { kind: "aws_sigv4", service: "s3", region: "eu-west-1" } as const;
    const signer = await AwsChunks.of(got.headers as Record<string, string>, strategy, credentials);
    expect(signer.change(Buffer.from(body)).toString() === got.body).toBe(true);
  });

  it.each([
    ["chunks that are none", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "hello", /cannot be signed/],
    ["chunks that end early", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", chunks[0] ?? "", /cannot be signed/],
    ["chunks of keys of many regions", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "hi", /plain body/],
    ["a form that nobody knows", "STREAMING-OF-TOMORROW", "hi", /plain body/],
  ])("is refused for %s, and stored nowhere", async (_, form, body, why) => {
    const answer = await put({ [hash]: form }, body);
    expect([answer.status, answer.body]).toEqual([400, expect.stringMatching(why)]);
    expect(egress.received).toEqual([]);
  });

  const signed =
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=CRED%2F20260101%2Feu-west-1%2Fs3%2Faws4_request";
  const presigned = `${signed}&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=abc`;

  it.each([
    ["Version 4", presigned.replace("CRED", "AKIDOFBOB")],
    ["Version 2", "AWSAccessKeyId=AKIDOFBOB&Expires=1&Signature=abc"],
  ])("is left alone where its URL is signed already, by %s", async (_, query) => {
    const path = `/v1/bucket/key?${query}&x-id=PutObject`;
    await put({ [hash]: "UNSIGNED-PAYLOAD", "x-amz-meta-of": "bob" }, "hi", path);
    const [got] = egress.received as [Received];
    expect([got.path, got.body]).toEqual([path, "hi"]);
    expect(got.headers).toMatchObject({ [hash]: "UNSIGNED-PAYLOAD", "x-amz-meta-of": "bob" });
    expect(got.headers).not.toHaveProperty("authorization");
    expect(got.headers).not.toHaveProperty("x-amz-date");
  });

  it("is signed where its URL was signed with a placeholder", async () => {
    const query = presigned.replace("CRED", placeholderOf(undefined, "acme"));
    await put({}, "hi", `/v1/bucket/key?${query}&x-id=PutObject`);
    const [got] = egress.received as [Received];
    expect(got.path).toBe("/v1/bucket/key?x-id=PutObject");
    expect(got.headers["authorization"]).toBe(await signatureOf(got, "s3"));
  });

  it("gets an answer in which the signature is masked, and neither its date nor the form of the body", async () => {
    egress.respond = ({ headers }, response) =>
      response.end([headers["authorization"], headers["x-amz-date"], headers[hash]].join("\n"));
    const { body } = await put({}, "hi");
    expect(body).toMatch(/^AWS4-HMAC-SHA256 \*+\n\d{8}T\d{6}Z\nUNSIGNED-PAYLOAD$/);
  });
});

describe("a request that is signed for another service of AWS", () => {
  const { egress, put } = worldOf("dynamodb");

  it("has the hash of its body in its signature", async () => {
    await put({}, "hi");
    const [got] = egress.received as [Received];
    expect(got.headers).toMatchObject({ [hash]: digestOf("hi") });
    expect(got.headers["authorization"]).toBe(await signatureOf(got, "dynamodb"));
  });

  it("is refused where the body is too long to be read, unless the program says its hash", async () => {
    const body = "x".repeat(9 * mebibyte);
    expect((await put({}, body)).status).toBe(413);
    expect((await put({ [hash]: digestOf(body) }, body)).status).toBe(200);
    expect(egress.received.map(({ headers }) => headers[hash])).toEqual([digestOf(body)]);
  });
});
