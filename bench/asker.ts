/** `asker.ts SOCKET CONNECTION-ID`: an agent that reads one token again and again; answers each message with the latencies since the last, in ms. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials } from "@grpc/grpc-js";
import { getTokenMessage, getTokenPath } from "./requests.js";

/** Between an answer and the next question. */
const pauseMs = 5;

const [socket = "", connectionId = ""] = process.argv.slice(2);
const message = Buffer.from(getTokenMessage(connectionId));
const asIs = (buffer: Buffer): Buffer => buffer;
const client = new Client(`unix:${socket}`, credentials.createInsecure());
let taken: number[] = [];

process.on("message", () => {
  process.send?.(taken);
  taken = [];
});
process.once("disconnect", () => process.exit(0));
for (;;) {
  const startedMs = performance.now();
  await new Promise<void>((resolve, reject) =>
    client.makeUnaryRequest(getTokenPath, asIs, asIs, message, (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  taken.push(performance.now() - startedMs);
  await sleep(pauseMs);
}
