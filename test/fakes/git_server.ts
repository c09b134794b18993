import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Repositories over git's smart HTTP (gitprotocol-http(5)): `git http-backend` behind HTTP Basic. */
export class GitServer {
  /** The user name and password of each request; undefined for none. */
  readonly logins: (string | undefined)[] = [];
  /** Whether they may in. */
  accepts: (username: string, password: string) => boolean = () => false;

  private constructor(
    readonly url: string,
    private readonly end: () => Promise<void>,
  ) {}

  static async start(folder: string): Promise<GitServer> {
    const http = createServer((request, response) => {
      if (server.#admit(request)) return serve(folder, request, response);
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
    });
    await once(http.listen(0, "127.0.0.1"), "listening");
    const server = new GitServer(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, async () => {
      http.closeAllConnections();
      await once(http.close(), "close");
    });
    return server;
  }

  stop(): Promise<void> {
    return this.end();
  }

  #admit({ headers }: IncomingMessage): boolean {
    const [, encoded] = /^Basic (.*)$/.exec(headers.authorization ?? "") ?? [];
    const login = encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8");
    this.logins.push(login);
    const [, username = "", password = ""] = /^([^:]*):(.*)$/.exec(login ?? "") ?? [];
    return login !== undefined && this.accepts(username, password);
  }
}

/** As CGI (RFC 3875) has it. */
function serve(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? "/", "http://localhost");
  const { headers } = request;
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env["PATH"],
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: "1",
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: headers["content-type"] ?? "",
      CONTENT_LENGTH: headers["content-length"],
      HTTP_CONTENT_ENCODING: headers["content-encoding"],
      GIT_PROTOCOL: [headers["git-protocol"] ?? ""].flat()[0],
      // Who may in may push.
      REMOTE_USER: "somebody",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  request.pipe(backend.stdin);
  const chunks: Buffer[] = [];
  backend.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  backend.on("close", () => {
    const answer = Buffer.concat(chunks);
    const end = answer.indexOf("\r\n\r\n");
    const lines = answer.subarray(0, end).toString("latin1").split("\r\n");
    const pairs = lines.map((line): [string, string] => [
      line.split(": ", 1)[0] ?? "",
      line.split(": ")[1] ?? "",
    ]);
    const { Status: status = "200", ...own } = Object.fromEntries(pairs);
    response.writeHead(Number.parseInt(status, 10), own).end(answer.subarray(end + 4));
  });
}
