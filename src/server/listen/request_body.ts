import type { IncomingMessage } from "node:http";

/** Reads a body of at most `maxBytes`; what is beyond is read away. */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | "too_large" | "aborted"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let byteLength = 0;
    const giveUp = (): void => {
      chunks.length = 0;
      resolve("too_large");
    };
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) giveUp();
    request.on("data", (chunk: Buffer) => {
      byteLength += chunk.byteLength;
      if (byteLength > maxBytes) giveUp();
      else chunks.push(chunk);
    });
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", () => resolve("aborted"));
    request.once("close", () => resolve("aborted"));
  });
}
