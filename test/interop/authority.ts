import type { Language } from "../suites/languages.js";
import { playStandIn } from "./stand_in.js";

/** The `:authority` that an agent sends over a Unix socket, overheard by a server that refuses it. */
export async function overhearAuthority(language: Language): Promise<string> {
  const heard = await playStandIn<[string, string]>(language, 60, "it calls", (socket, done) => {
    return (stream, { ":authority": authority = "none" }) => {
      const headers = { ":status": 200, "content-type": "application/grpc", "grpc-status": "16" };
      stream.respond(headers, { endStream: true });
      done([authority, socket]);
    };
  });
  const [authority, socket] = heard;
  return authority
    .replaceAll(encodeURIComponent(socket.slice(1)), "PERCENT-ENCODED-PATH")
    .replaceAll(socket, "PATH");
}
