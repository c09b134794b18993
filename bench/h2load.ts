import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Calls of gRPC by `h2load` of Debian's `nghttp2-client`.
 *
 * @param body a file that each request sends
 * @throws Error when one was not answered by status 200
 */
export async function h2load(options: {
  readonly socket: string;
  readonly path: string;
  readonly body: string;
  readonly requests: number;
  readonly clients: number;
  readonly streams: number;
}): Promise<void> {
  const { socket, path, body, requests, clients, streams } = options;
  const { stdout } = await run("h2load", [
    ...["-B", `unix:${socket}`, "-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers"],
    ...["-n", String(requests), "-c", String(clients), "-m", String(streams)],
    `http://localhost${path}`,
  ]);
  const answered = Number(/status codes: (\d+) 2xx/.exec(stdout)?.[1]);
  if (answered !== requests)
    throw new Error(`${requests - answered} of ${requests} calls failed at ${socket}`);
}

/** @throws Error naming the Debian package when the program is missing */
export async function requireH2load(): Promise<void> {
  try {
    await run("h2load", ["--version"]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Error("h2load is missing: apt-get install nghttp2-client, or measure other parts with --only");
  }
}
