import { describe, expect, it } from "vitest";
import { applyStrategy } from "../../src/strategies/apply_strategy.js";
import { AwsChunks } from "../../src/strategies/aws_chunks.js";

const strategy = { kind: "aws_sigv4", service: "s3", region: "us-east-1" } as const;
const credentials = {
  access_key: "AKIAIOSFODNN7EXAMPLE",
  secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const clock = { nowMs: () => Date.parse("2013-05-24T00:00:00Z") };

/** The upload of both examples: 65 KiB of "a" in chunks of 64 KiB. */
async function chunksOf(form: string, further: Readonly<Record<string, string>>) {
  const request = {
    method: "PUT",
    url: "https://s3.amazonaws.com/examplebucket/chunkObject.txt",
    headers: {
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": "66560",
      "x-amz-content-sha256": form,
      ...further,
    },
  };
  const { headers } = await applyStrategy(request, strategy, credentials, { clock, bodyHash: "declared" });
  const seed = /Signature=(\w+)/.exec(headers["authorization"] ?? "")?.[1];
  return { seed, chunks: await AwsChunks.of(headers, strategy, credentials) };
}

const signedBefore = "0".repeat(64);
const chunk = (data: string): string =>
  `${data.length.toString(16)};chunk-signature=${signedBefore}\r\n${data}${data === "" ? "" : "\r\n"}`;
const body = `${chunk("a".repeat(65_536))}${chunk("a".repeat(1_024))}${chunk("")}`;
const signaturesIn = (text: string) => [...text.matchAll(/signature[=:](\w+)/g)].map(([, one]) => one);

/** In parts of every length that a stream may have. */
function through(chunks: AwsChunks, text: string, partBytes: number): string {
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; at += partBytes)
    parts.push(chunks.change(Buffer.from(text.slice(at, at + partBytes))));
  chunks.last();
  return Buffer.concat(parts).toString();
}

describe("chunks that were signed with another key", () => {
  /** https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html */
  it.each([1_000, 65_621, 1_000_000])(
    "are signed as AWS documents it, in parts of %i bytes",
    async (bytes) => {
      const form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
      const { seed, chunks } = await chunksOf(form, { "content-length": "66824" });
      const signed = through(chunks, `${body}\r\n`, bytes);
      expect([seed, ...signaturesIn(signed)]).toEqual([
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
      ]);
      expect(signed.length).toBe(66_824);
      expect(signed.replaceAll(/(?<=signature=)[0-9a-f]{64}/g, signedBefore)).toBe(`${body}\r\n`);
    },
  );

  /** https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html */
  it("are signed with the checksum behind them", async () => {
    const form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    const { seed, chunks } = await chunksOf(form, { "x-amz-trailer": "x-amz-checksum-crc32c" });
    const end = `x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${signedBefore}\r\n\r\n`;
    const signed = through(chunks, `${body}${end}`, 7_000);
    expect([seed, ...signaturesIn(signed)]).toEqual([
      "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
      "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
      "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
      "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
      "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
    ]);
  });

  it.each([
    ["a plain body", "hello\r\n"],
    ["a size that is no number", `zz;chunk-signature=${signedBefore}\r\n`],
    ["no signature", "5\r\nhello\r\n0\r\n\r\n"],
    ["a chunk that is longer than its size", `1;chunk-signature=${signedBefore}\r\nab\r\n`],
    ["a chunk that is too long to be held", `ffffffff;chunk-signature=${signedBefore}\r\n`],
    ["a line without an end", "0".repeat(5_000)],
    ["an end that is missing", chunk("a")],
    ["bytes behind the end", `${chunk("")}\r\nmore`],
  ])("are refused for %s", async (_, text) => {
    const { chunks } = await chunksOf("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", {});
    expect(() => through(chunks, text, 10_000)).toThrow(/^body: cannot be signed: /);
  });
});
