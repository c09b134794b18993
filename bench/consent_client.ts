import { Agent, type IncomingHttpHeaders, request } from "node:http";

/** Where flows are run. */
export interface ConsentSide {
  /** Takes `POST /v1/request-connection`. */
  readonly api: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly providerId: string;
  readonly scopes: readonly string[];
}

export interface ConsentRun {
  readonly state: string;
  /** From the request of the connection until the browser is sent back to the application. */
  readonly ms: number;
}

const returnUrl = "http://127.0.0.1:3999/back";
const agent = new Agent({ keepAlive: true });
let users = 0;

/** One consent: an application requests it, and a browser without a screen follows every redirect but the last. */
async function consent(side: ConsentSide): Promise<ConsentRun> {
  const startedMs = performance.now();
  const { providerId, scopes } = side;
  const asked = { user_id: `user-${users++}`, provider_id: providerId, scopes, return_url: returnUrl };
  const requested = await send(`${side.api}/v1/request-connection`, side.headers, JSON.stringify(asked));
  const { authUrl, state } = JSON.parse(requested.body) as { authUrl: string; state: string };
  const start = await send(authUrl, {});
  const cookie = (start.headers["set-cookie"] ?? []).map((text) => text.split(";")[0]).join("; ");
  const authorized = await send(start.headers.location ?? "", {});
  const finished = await send(authorized.headers.location ?? "", { cookie });
  const ms = performance.now() - startedMs;
  const { location = "" } = finished.headers;
  if (!location.startsWith(returnUrl) || new URL(location).searchParams.get("status") !== "success") {
    throw new Error(`a consent flow ended with ${finished.status}: ${finished.body.slice(0, 400)}`);
  }
  return { state, ms };
}

/** @param atOnce flows that run side by side */
export async function consents(side: ConsentSide, count: number, atOnce: number): Promise<ConsentRun[]> {
  const runs: ConsentRun[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) runs.push(await consent(side));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return runs;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function send(url: string, headers: Readonly<Record<string, string>>, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const method = body === undefined ? "GET" : "POST";
    const outgoing = request(
      url,
      { agent, method, headers: { ...headers, ...type, ...length } },
      (message) => {
        let text = "";
        message.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        message.once("end", () =>
          resolve({ status: message.statusCode ?? 0, headers: message.headers, body: text }),
        );
      },
    );
    outgoing.once("error", reject).end(body);
  });
}
