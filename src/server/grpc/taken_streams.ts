import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/** grpc-js keeps its servers of node:http2 to itself, and counts the streams of a connection to know when it is idle. */
interface WithServers {
  readonly http2Servers?: Map<Http2Server, unknown>;
  onStreamOpened?(stream: ServerHttp2Stream): void;
}

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => void;

/**
 * Offers each stream of a server to `take`; what it does not take is served by grpc-js. Connections, their limits, pings and end
 * stay with grpc-js either way.
 *
 * @returns false when this version of grpc-js is built otherwise, and serves all of them
 */
export function offerStreams(
  server: Server,
  take: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean,
): boolean {
  const { http2Servers } = server as unknown as WithServers;
  const opened = (server as unknown as WithServers).onStreamOpened;
  if (!(http2Servers instanceof Map) || typeof opened !== "function") return false;
  for (const http2Server of http2Servers.keys()) {
    const [serve, ...others] = http2Server.listeners("stream") as OnStream[];
    if (serve === undefined || others.length > 0) return false;
    http2Server.off("stream", serve);
    http2Server.on(
      "stream",
      (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => {
        if (take(stream, headers)) opened.call(server, stream);
        else serve.call(http2Server, stream, headers, ...rest);
      },
    );
  }
  return true;
}
