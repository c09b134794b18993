import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentProcess } from "./agent_process.js";
import type { Language } from "./languages.js";
import { within } from "./stage.js";

const maxSeconds = 60;

/** The `:authority` that an agent sends over a Unix socket, overheard by a server that refuses it. */
export async function overhearAuthority(language: Language): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-authority-"));
  const socket = join(folder, "nexus.sock");
  const server = createServer();
  const heard = new Promise<string>((resolve) => {
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      resolve(headers[":authority"] === undefined ? "none" : String(headers[":authority"]));
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "16" },
        { endStream: true },
      );
    });
  });
  await once(server.listen(socket), "listening");
  const agent = new AgentProcess(language.run, [], { NEXUS_ADDRESS: `unix:${socket}` });
  try {
    const authority = await within(maxSeconds, "it calls", heard);
    return authority
      .replaceAll(encodeURIComponent(socket), "PERCENT-ENCODED-PATH")
      .replaceAll(socket, "PATH");
  } finally {
    agent.signal("SIGKILL");
    await agent.exited;
    server.close();
    rmSync(folder, { recursive: true });
  }
}
