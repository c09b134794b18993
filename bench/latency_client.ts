/** `latency_client.ts SOCKET CONCURRENCY CALLS REQUEST-IN-BASE64`: `GetToken` by a grpc-js client; sends the latencies in microseconds. */
import { Client, credentials } from "@grpc/grpc-js";

const [socket = "", concurrency = "1", calls = "1000", request = ""] = process.argv.slice(2);
const message = Buffer.from(request, "base64");
const asIs = (buffer: Buffer): Buffer => buffer;
const client = new Client(`unix:${socket}`, credentials.createInsecure());

const call = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    client.makeUnaryRequest("/nexus.v1.TokenService/GetToken", asIs, asIs, message, (error) => {
      if (error) reject(error);
      else resolve(Number(process.hrtime.bigint() - started) / 1000);
    });
  });

async function measure(count: number): Promise<number[]> {
  const taken: number[] = [];
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) taken.push(await call());
  };
  await Promise.all(Array.from({ length: Number(concurrency) }, lane));
  return taken;
}

await measure(Math.min(500, Number(calls)));
process.send?.(await measure(Number(calls)));
client.close();
process.disconnect();
