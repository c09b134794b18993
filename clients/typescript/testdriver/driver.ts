/** The driver of the TypeScript client for `npm run test:clients`; test/clients/PROTOCOL.md says what it speaks. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Code, ConnectError } from "@connectrpc/connect";
import { Client, credentials } from "@grpc/grpc-js";
import {
  ConsentRequired,
  Nexus,
  NexusError,
  type ShownConsent,
  StrategyError,
  type Token,
  Unavailable,
} from "nexusd-client";
import { callCredentials } from "nexusd-client/grpc";
import { type ApiRequest, applyStrategy, type BodyHash } from "nexusd-client/strategies";
import { checkHealth } from "./health.js";

/** The fields of all operations; each reads its own. */
interface Fields {
  readonly id: number;
  readonly op: string;
  readonly target: number;
  readonly options: {
    readonly address?: string;
    readonly api_key_file?: string;
    readonly clock_offset_ms?: number;
  };
  readonly provider: string;
  readonly user: string;
  readonly label?: string;
  readonly scopes?: string[];
  readonly only_scopes?: boolean;
  readonly min_ttl_ms?: number;
  readonly deadline_ms?: number;
  readonly return_url?: string;
  readonly count: number;
  readonly via: string;
  readonly method: string;
  readonly url: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly address: string;
  readonly ca_file: string;
  readonly strategy: Readonly<Record<string, object>>;
  readonly credentials: Readonly<Record<string, string>>;
  readonly request: ApiRequest;
  readonly time_ms?: number;
  readonly body_hash?: BodyHash;
}

let nexus: Nexus;
const underWay = new Map<number, AbortController>();
const requests = createInterface({ input: process.stdin });

function write(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function tokenOptions(fields: Fields, signal?: AbortSignal) {
  const {
    user,
    label,
    scopes,
    only_scopes: onlyScopes,
    min_ttl_ms: minTtlMs,
    deadline_ms: timeoutMs,
  } = fields;
  return { user, label, scopes, onlyScopes, minTtlMs, timeoutMs, signal };
}

function answer({ credentials, accessToken, revision, expiresAt }: Token) {
  const access_token = accessToken ?? null;
  return { credentials, access_token, revision, expires_at_ms: expiresAt?.getTime() ?? null };
}

const operations: Record<string, (fields: Fields, signal: AbortSignal) => Promise<object>> = {
  open: async ({ options: { address, api_key_file: apiKeyFile, clock_offset_ms: offsetMs = 0 } }) => {
    // The second argument is the seam of the tests, and no part of the types.
    const Seamed = Nexus as unknown as new (options: object, clock?: object) => Nexus;
    nexus =
      offsetMs === 0
        ? new Nexus({ address, apiKeyFile })
        : new Seamed({ address, apiKeyFile }, await shifted(offsetMs));
    return {};
  },
  token: async (fields, signal) => answer(await nexus.token(fields.provider, tokenOptions(fields, signal))),
  acquire: async (fields, signal) => {
    const onConsent = ({ authUrl, connectionId, reason }: ShownConsent) =>
      write({ id: fields.id, event: "consent", auth_url: authUrl, connection_id: connectionId, reason });
    const options = { ...tokenOptions(fields, signal), returnUrl: fields.return_url, onConsent };
    return answer(await nexus.acquire(fields.provider, options));
  },
  cancel: async ({ target }) => {
    underWay.get(target)?.abort();
    return {};
  },
  hot: async ({ provider, user, count }) => {
    const startedMs = performance.now();
    const revisions = new Set<number>();
    for (let calls = 0; calls < count; calls++)
      revisions.add((await nexus.token(provider, { user })).revision);
    return { calls: count, elapsed_ms: performance.now() - startedMs, revisions: [...revisions] };
  },
  hooks: async () => ({ hooks: ["fetch", "connect"] }),
  request: async ({ via, provider, user, label, method, url, headers = {}, body }) => {
    const options = { user, label };
    if (via === "connect")
      return { status: await checkHealth(url, nexus.interceptor(provider, options)), body: "" };
    const response = await nexus.fetch(provider, options)(url, { method, headers, body: body ?? null });
    return { status: response.status, body: await response.text() };
  },
  grpc: ({ address, ca_file, provider, user }) => {
    const perCall = callCredentials(nexus, provider, { user });
    const ssl = credentials.createSsl(readFileSync(ca_file));
    const client = new Client(address, credentials.combineChannelCredentials(ssl, perCall));
    const bytes = (value: Buffer) => value;
    return new Promise((resolve) => {
      client.makeUnaryRequest("/grpc.health.v1.Health/Check", bytes, bytes, Buffer.alloc(0), (error) => {
        client.close();
        resolve({ code: error?.code ?? 0, details: error?.details });
      });
    });
  },
  apply: async ({ strategy, credentials, request, time_ms, body_hash }) => {
    const clock = time_ms === undefined ? {} : { clock: { nowMs: () => time_ms } };
    return applyStrategy(request, strategy, credentials, {
      ...clock,
      ...(body_hash ? { bodyHash: body_hash } : {}),
    });
  },
  close: async () => {
    nexus.close();
    return {};
  },
};

/** The library's own clock, moved. */
async function shifted(offsetMs: number): Promise<object> {
  const url = new URL("clock.js", import.meta.resolve("nexusd-client/strategies"));
  const { SystemClock } = await import(url.href);
  return Object.assign(new SystemClock(), { nowMs: () => Date.now() + offsetMs });
}

function errorOf(thrown: unknown, signal: AbortSignal): object {
  // Connect wraps what an interceptor throws.
  const error = thrown instanceof ConnectError && thrown.cause instanceof NexusError ? thrown.cause : thrown;
  const { name, message } = error as Error;
  if (signal.aborted && !(error instanceof NexusError)) return { type: "Cancelled", message };
  if (error instanceof ConsentRequired) {
    const { authUrl: auth_url, connectionId: connection_id, reason, scopes } = error;
    return { type: name, message, auth_url, connection_id, reason, scopes };
  }
  if (error instanceof Unavailable) return { type: name, message, retry_after_ms: error.retryAfterMs };
  if (error instanceof StrategyError) return { type: name, message, reason: error.code, field: error.field };
  if (error instanceof NexusError) return { type: name, message, reason: error.reason };
  if (error instanceof ConnectError) return { type: Code[error.code], message };
  return { type: "NexusError", message: `${name}: ${message}`, not: "an error of the library" };
}

requests.on("line", async (line) => {
  const fields = JSON.parse(line) as Fields;
  const { id, op } = fields;
  const call = new AbortController();
  underWay.set(id, call);
  try {
    const operation = operations[op];
    if (!operation) write({ id, error: { type: "NotImplemented", message: `${op} is not known` } });
    else write({ id, result: await operation(fields, call.signal) });
  } catch (error) {
    write({ id, error: errorOf(error, call.signal) });
  } finally {
    underWay.delete(id);
  }
});
requests.on("close", () => nexus?.close());
