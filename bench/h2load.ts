import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What `h2load` of Debian's `nghttp2-client` saw. */
export interface Load {
  readonly requests: number;
  /** Requests that were not answered by status 200. */
  readonly failed: number;
  readonly perSecond: number;
}

/** @param target `unix:PATH` or `http://HOST:PORT`; @param body a file that each request sends */
export async function h2load(options: {
  readonly target: string;
  readonly path: string;
  readonly body: string;
  readonly headers: readonly string[];
  readonly requests: number;
  readonly clients: number;
  readonly streams: number;
  readonly http1?: boolean;
}): Promise<Load> {
  const { target, path, body, headers, requests, clients, streams } = options;
  const url = target.startsWith("unix:") ? `http://localhost${path}` : `${target}${path}`;
  const { stdout } = await run("h2load", [
    ...(target.startsWith("unix:") ? ["-B", target] : []),
    ...(options.http1 === true ? ["--h1"] : []),
    ...["-n", String(requests), "-c", String(clients), "-m", String(streams), "-d", body],
    ...headers.flatMap((header) => ["-H", header]),
    url,
  ]);
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  const answered = number(/(\d+) succeeded/);
  const perSecond = number(/([\d.]+) req\/s/);
  const ok = number(/status codes: (\d+) 2xx/);
  return { requests: answered, failed: requests - ok, perSecond };
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
