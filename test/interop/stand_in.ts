import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Language } from "../suites/languages.js";
import { within } from "../suites/stage.js";
import { AgentProcess } from "./agent_process.js";

export type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 * Has an agent call a server that stands in for the daemon on a Unix socket.
 *
 * @param play makes the server's answers; it resolves what is returned by `done`
 */
export async function playStandIn<T>(
  language: Language,
  maxSeconds: number,
  what: string,
  play: (socket: string, done: (value: T) => void) => Answer,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-stand-in-"));
  const socket = join(folder, "nexus.sock");
  const server = createServer();
  // The agent is killed in the midst of its calls: what its connection's end does to them is no fault of either.
  server.on("stream", (stream) => stream.on("error", () => {}));
  server.on("sessionError", () => {});
  const played = new Promise<T>((resolve) => void server.on("stream", play(socket, resolve)));
  await once(server.listen(socket), "listening");
  const agent = new AgentProcess(language.run, [], { NEXUS_ADDRESS: `unix:${socket}` });
  try {
    return await within(maxSeconds, what, played);
  } finally {
    agent.signal("SIGKILL");
    await agent.exited;
    server.close();
    rmSync(folder, { recursive: true });
  }
}
