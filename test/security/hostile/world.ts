import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { BadRequestSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.js";
import { WatchTokensResponseSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { storeFileName } from "../../../src/store/store.js";
import { staticCases } from "../../daemon/capture_world.js";
import { Place as DaemonPlace, Watcher } from "../../daemon/harness.js";
import { registered } from "../../daemon/requests.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { type Place, unknownId } from "./row.js";

export interface Violation {
  readonly field: string;
  readonly description: string;
}

/** What an RPC ended with. */
export interface Ending {
  /** Undefined for a success. */
  readonly code: keyof typeof Code | undefined;
  readonly message: string;
  readonly violations: readonly Violation[];
  /** Of a stream. */
  readonly event?: string | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly bytes: Buffer;
  /** As text. */
  readonly body: string;
}

/** One live daemon, clients by hand at each of its listeners, and a look at its store. */
export class HostileWorld {
  readonly #grpc: Client;

  private constructor(
    readonly daemonPlace: DaemonPlace,
    readonly place: Place,
    private readonly stop: () => Promise<void>,
  ) {
    this.#grpc = new Client(`unix:${daemonPlace.socket}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_send_message_length": -1,
    });
  }

  static async make(): Promise<HostileWorld> {
    const daemonPlace = await DaemonPlace.make({ NEXUS_NOTIFY_COMMAND: "true" });
    const daemon = await daemonPlace.start(new ManualClock(Date.now()));
    const place = await furnish(daemonPlace);
    return new HostileWorld(daemonPlace, place, () => daemon.stop());
  }

  async close(): Promise<void> {
    this.#grpc.close();
    await this.stop();
  }

  get logLines(): readonly string[] {
    return this.daemonPlace.logLines;
  }

  /** Of every byte that LMDB keeps: any commit at all changes it, be it of a record, an index or an audit event. */
  storeDigest(): string {
    const path = join(this.daemonPlace.config.dataDir, storeFileName);
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  }

  /** Of every profile and connection as a caller sees them. */
  async listings(): Promise<string> {
    const { providers, connections } = this.daemonPlace.clients();
    const lists = [await providers.listProviders({}), await connections.listConnections({})];
    const text = JSON.stringify(lists, (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    return createHash("sha256").update(text).digest("hex");
  }

  /** A message as it is, by grpc-js over the Unix socket. */
  grpc(path: string, bytes: Uint8Array, isStream = false): Promise<Ending> {
    const same = (buffer: Buffer): Buffer => buffer;
    const options = { deadline: Date.now() + 10_000 };
    if (isStream) {
      const stream = this.#grpc.makeServerStreamRequest(
        path,
        same,
        same,
        Buffer.from(bytes),
        new Metadata(),
        options,
      );
      return new Promise((resolve) => {
        stream.once("data", (buffer: Buffer) => {
          resolve({ ...success, event: fromBinary(WatchTokensResponseSchema, buffer).event.case });
          stream.cancel();
        });
        stream.on("error", (error: ServiceError) => resolve(endingOf(error)));
        stream.once("end", () => resolve(success));
      });
    }
    return new Promise((resolve) =>
      this.#grpc.makeUnaryRequest(path, same, same, Buffer.from(bytes), new Metadata(), options, (error) =>
        resolve(error ? endingOf(error) : success),
      ),
    );
  }

  /** The body of a gRPC call as it is, by hand over HTTP/2. */
  grpcBody(path: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<Ending> {
    const session = connectHttp2("http://localhost", {
      createConnection: () => connectSocket(this.daemonPlace.socket),
    });
    session.on("error", () => undefined);
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
      });
      let fields: Readonly<Record<string, unknown>> = {};
      const keep = (more: object): void => {
        fields = { ...fields, ...more };
      };
      stream.on("response", keep);
      stream.on("trailers", keep);
      stream.on("error", reject);
      stream.resume();
      // A stream that is served says so with its first message, and would go on.
      if (path.endsWith("/Watch")) stream.once("data", () => stream.close());
      stream.once("close", () => {
        session.destroy();
        const status = Number(fields["grpc-status"] ?? -1);
        const message = decodeURIComponent(String(fields["grpc-message"] ?? ""));
        resolve({ code: Code[status] as keyof typeof Code, message, violations: [] });
      });
      stream.end(body);
    });
  }

  /** JSON as it is, to the Connect listener. A stream's is put into an envelope. */
  async connect(path: string, json: string | Uint8Array, isStream = false): Promise<Ending> {
    const bytes = Buffer.from(json as string);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    const { status, bytes: answer } = await this.http("http", "POST", path, {
      headers: {
        "content-type": isStream ? "application/connect+json" : "application/json",
        authorization: `Bearer ${this.place.apiKey}`,
      },
      body: isStream ? Buffer.concat([head, bytes]) : bytes,
      firstChunkOnly: isStream,
    });
    if (!isStream && status === 200) return success;
    // Envelopes that were sent together come together: the first is the answer.
    const first = isStream ? answer.subarray(5, 5 + answer.readUInt32BE(1)) : answer;
    const message = JSON.parse(first.toString("utf8")) as Record<string, JsonError>;
    const error = (isStream ? message["error"] : (message as unknown as JsonError)) as JsonError | undefined;
    if (!error) return { ...success, event: Object.keys(message)[0] };
    const code = Object.values(Code).find(
      (value) => typeof value === "string" && snake(value) === error.code,
    );
    const details = error.details?.filter(({ type }) => type === BadRequestSchema.typeName) ?? [];
    return {
      code: code as keyof typeof Code,
      message: error.message ?? "",
      violations: details.flatMap(
        ({ value }) => fromBinary(BadRequestSchema, Buffer.from(value, "base64")).fieldViolations,
      ),
    };
  }

  /** A request whose target goes out as it is written. */
  http(
    listener: "http" | "browser",
    method: string,
    target: string,
    options: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Uint8Array;
      readonly firstChunkOnly?: boolean;
    } = {},
  ): Promise<HttpAnswer> {
    const { hostname, port, host } = new URL(this.place.origin[listener]);
    return new Promise((resolve, reject) => {
      const sent = request({
        hostname: hostname === "localhost" ? "127.0.0.1" : hostname,
        port,
        method,
        path: target,
        headers: { host, ...options.headers },
        agent: false,
      });
      sent.on("error", reject);
      sent.once("response", (response) => {
        const chunks: Buffer[] = [];
        const finish = (): void => {
          const bytes = Buffer.concat(chunks);
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, bytes, body: bytes.toString("utf8") });
        };
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          if (options.firstChunkOnly) {
            finish();
            sent.destroy();
          }
        });
        response.on("end", finish);
        response.on("error", finish);
      });
      sent.end(options.body);
    });
  }
}

interface JsonError {
  readonly code: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

const success: Ending = { code: undefined, message: "", violations: [] };

function endingOf(error: ServiceError): Ending {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const status = bytes instanceof Buffer ? fromBinary(StatusSchema, bytes) : undefined;
  const details = status?.details.flatMap((detail) => anyUnpack(detail, BadRequestSchema) ?? []) ?? [];
  return {
    code: Code[error.code] as keyof typeof Code,
    message: error.details,
    violations: details.flatMap((detail) => detail.fieldViolations),
  };
}

function snake(name: string): string {
  return name.replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** A profile of each type, connections, and pending requests. */
async function furnish(place: DaemonPlace): Promise<Place> {
  const { providers, connections, audit, tokens } = place.clients();
  const ids: Record<string, string> = {};
  const profileId = await registered(
    { providers },
    {
      name: "oauth2",
      clientId: "the-client",
      clientSecret: "the-client-secret",
      authUrl: "https://provider.example/authorize",
      tokenUrl: "https://provider.example/token",
      scopes: ["read"],
    },
  );
  ids["oauth2"] = profileId;
  for (const { name, authType, strategy } of staticCases) {
    ids[name] = await registered({ providers }, { name, authType, ...(strategy ? { strategy } : {}) });
  }
  const ask = (id: string) =>
    connections.requestConnection({ userId: "ada", provider: { case: "providerId", value: id } });
  const active = await connections.importConnection({
    userId: "ada",
    providerId: ids["api-key-bearer"] ?? "",
    credentials: { api_key: "k-1" },
  });
  const pending = await ask(ids["oauth2"] ?? "");
  const capture = await ask(ids["api-key-bearer"] ?? "");
  await ask(ids["basic"] ?? "");
  const watcher = new Watcher(tokens, { connectionIds: [unknownId] });
  const bookmark = await watcher.until((event) => event.case === "bookmark");
  watcher.cancel();
  const templates = await providers.listProviderTemplates({ pageSize: 1 });
  return {
    origin: { http: place.httpUrl, browser: place.config.publicUrl.replace(/\/$/, "") },
    apiKey: place.apiKey,
    providers: ids,
    activeConnectionId: active.connection?.id ?? "",
    pendingConnectionId: pending.connectionId,
    consentState: pending.state,
    captureState: capture.state,
    epoch: bookmark.case === "bookmark" ? (bookmark.value.position?.epoch ?? "") : "",
    pageTokens: {
      audit: (await audit.listAuditEvents({ pageSize: 1 })).nextPageToken,
      connections: (await connections.listConnections({ pageSize: 1 })).nextPageToken,
      providers: (await providers.listProviders({ pageSize: 1 })).nextPageToken,
      templates: templates.nextPageToken,
    },
  };
}
