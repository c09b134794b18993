import { EventEmitter, once } from "node:events";
import type { Settings } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { UsableCredential } from "../../../../src/domain/use/use.js";
import { ProgramProxy } from "../../../../src/ext/egress/program_proxy.js";
import { BodyBudget, maxHeldByCaller } from "../../../../src/ext/egress/proxy/body.js";
import {
  type EgressRpcs,
  type OwnRequest,
  SessionCredentials,
} from "../../../../src/ext/egress/proxy/credentials.js";
import { Dialer } from "../../../../src/ext/egress/proxy/dial.js";
import type { EgressNetwork } from "../../../../src/ext/egress/proxy/egress_settings.js";
import { OpenUses } from "../../../../src/ext/egress/proxy/open_uses.js";
import { problemOf } from "../../../../src/ext/egress/proxy/problem.js";
import { type ProviderRoute, routeOf, SessionRoutes } from "../../../../src/ext/egress/proxy/routes.js";
import { EgressSession } from "../../../../src/ext/egress/proxy/session.js";
import { Upstream } from "../../../../src/ext/egress/proxy/upstream.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import {
  AcquireTokenResponseSchema,
  ReportRejectedTokenResponseSchema,
  type TokenSchema,
  type TokenStateSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import { AuthorityFiles } from "../../../../src/outbound/certificate_authorities.js";
import type { WebProxySettings } from "../../../../src/outbound/web_proxy.js";
import { type Clock, SystemClock } from "../../../../src/runtime/clock.js";
import { Authority } from "../../../../src/server/tls/authority.js";
import { ApiStandIn, type Received } from "../api_stand_in.js";
import { type Answer, type Asked, type Opened, ProxyClient, withPassword } from "./proxy_client.js";

/** A secret that must turn up at the API of its provider and nowhere else. */
export const canary = "canary-3f9c2b7e";

type Acquired = MessageInitShape<typeof AcquireTokenResponseSchema>;

export interface WorldOptions {
  readonly network?: EgressNetwork;
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
  readonly waitsForConsent?: boolean;
  readonly clock?: Clock;
  /** Between the proxy and APIs. */
  readonly proxies?: WebProxySettings;
  /** Of bodies. */
  readonly maxHeldBytes?: number;
  /** Of further APIs, PEM. */
  readonly roots?: string;
  /** What profiles name as `api_ca_file`; none by default. */
  readonly authorities?: AuthorityFiles;
  /** Of its HTTP/2. */
  readonly apiSettings?: Settings;
  /** Beside `acme`, whose API base URL is `https://api.localhost:<port>/v1`. */
  readonly providers?: (port: number) => readonly MessageInitShape<typeof ProviderSchema>[];
  /** Instead of the daemon that answers as it is told: one that knows `acme` by this name. */
  readonly daemon?: { readonly rpcs: EgressRpcs; readonly providerName: string };
}

/** A proxy of `nexusd run` between a client and an API of TLS, with a daemon that answers as it is told. */
export class EgressWorld {
  /** What the daemon answers to `AcquireToken`, the last for ever. */
  acquired: Acquired[] = [tokenOf(canary)];
  readonly acquiredFor: unknown[] = [];
  reported: unknown[] = [];
  /** The daemon answers calls for a token after it, as where a person must agree first. */
  asking: Promise<unknown> | undefined;
  /** The daemon answers reports after it. */
  holding: Promise<unknown> | undefined;
  readonly links: string[] = [];
  /** What the user reads on the terminal. */
  readonly told: string[] = [];

  /** What the daemon's stream sends; an error ends it. */
  readonly #told: (WatchTokensResponse | Error)[] = [
    ...["acme", "deep", "gone", "op"].map((providerName, at) =>
      toldOf(ConnectionStatus.ACTIVE, { providerName, connectionId: `c${at + 1}` }),
    ),
    bookmark,
  ];
  readonly #news = new EventEmitter();
  /** How often the daemon's stream was opened. */
  watches = 0;

  private constructor(
    readonly api: ApiStandIn,
    readonly proxyUrl: URL,
    readonly authority: Authority,
    private readonly end: () => Promise<void>,
  ) {}

  static async start(options: WorldOptions = {}): Promise<EgressWorld> {
    const api = await ApiStandIn.start(options.apiSettings);
    const { port } = api;
    const acme = {
      name: options.daemon?.providerName ?? "acme",
      apiBaseUrl: `https://api.localhost:${port}/v1`,
      apiHosts: [`up.localhost:${port}`],
    };
    const profiles = [acme, ...(options.providers?.(port) ?? [])];
    const routes = routesTo(profiles);
    const { clock = new SystemClock() } = options;
    const authority = await Authority.create(routes.hostNames, clock, { name: "a session", days: 30 });
    const dialer = new Dialer(`${api.ca}\n${options.roots ?? ""}`, clock, undefined, options.proxies);
    const upstream = new Upstream(dialer);
    const credentials = new SessionCredentials({
      rpcs: options.daemon?.rpcs ?? rpcsTo(() => world),
      userId: "ada",
      waitsForConsent: options.waitsForConsent ?? false,
      onConsent: (_, link) => world.links.push(link),
    });
    const { network = "open", methods, paths } = options;
    const uses = new OpenUses({
      watch: (_, signal) => world.states(signal),
      isRefused: (error) => error === refusal,
      onRefused: () => session.close(),
      clock,
    });
    const bodies = new BodyBudget(options.maxHeldBytes ?? maxHeldByCaller);
    const { authorities = new AuthorityFiles({}) } = options;
    const own = { authority, authorities, upstream, bodies };
    const parts = { ...own, routes, credentials, uses, methods, paths, network };
    const session: EgressSession = new EgressSession(parts);
    const proxy = new ProgramProxy({ session, dialer, tell: (text) => world.told.push(text) });
    const world: EgressWorld = new EgressWorld(api, await proxy.open(), authority, async () => {
      proxy.close();
      upstream.close();
      await api.stop();
    });
    return world;
  }

  get port(): number {
    return this.api.port;
  }

  get received(): readonly Received[] {
    return this.api.received;
  }

  set respond(respond: ApiStandIn["respond"]) {
    this.api.respond = respond;
  }

  stop(): Promise<void> {
    return this.end();
  }

  /** The daemon knows of no connection from now on. */
  forget(): void {
    this.#told.fill(bookmark);
  }

  /** The daemon's stream goes on with this. */
  tell(event: WatchTokensResponse | Error): void {
    this.#told.push(event);
    this.#news.emit("more");
  }

  async *states(signal: AbortSignal): AsyncGenerator<WatchTokensResponse> {
    this.watches++;
    for (let at = 0; ; at++) {
      while (at >= this.#told.length) await once(this.#news, "more", { signal });
      const event = this.#told[at];
      if (event instanceof Error) {
        this.#told.splice(at, 1);
        throw event;
      }
      if (event) yield event;
    }
  }

  /** The tunnel itself, before TLS; rejects with the answer of the proxy. */
  tunnel(authority: string, password = this.proxyUrl.password): Promise<Socket> {
    return new ProxyClient(withPassword(this.proxyUrl, password), "", this.port).tunnel(authority);
  }

  tls(host: string, alpn: readonly string[], servername = host): Promise<TLSSocket> {
    return this.#client.tls(host, alpn, servername);
  }

  ask(path: string, asked: Asked = {}): Promise<Answer> {
    return this.#client.ask(path, asked);
  }

  open(path: string, asked: Asked = {}): Promise<Opened> {
    return this.#client.open(path, asked);
  }

  get #client(): ProxyClient {
    return new ProxyClient(this.proxyUrl, this.authority.pem, this.port);
  }
}

/** The daemon refuses the caller itself. */
export const refusal = new Error("the key is revoked");
export const bookmark = create(WatchTokensResponseSchema, { event: { case: "bookmark", value: {} } });

/** The state of the connection to `acme`. */
export function toldOf(status: ConnectionStatus, of: MessageInitShape<typeof TokenStateSchema> = {}) {
  const value = { connectionId: "c1", providerName: "acme", status, ...of };
  return create(WatchTokensResponseSchema, { event: { case: "state", value } });
}

/** Of a provider whose strategy puts the key into `X-API-Key`. */
export function tokenOf(value: string, revision = 1n): Acquired {
  return tokenIn({ case: "header", value: { headerName: "X-API-Key" } }, value, revision);
}

/** Of a provider with this strategy. */
export function tokenIn(
  { case: kind, value }: { case: "header" | "queryParam"; value: Record<string, string> },
  api_key = canary,
  revision = 1n,
): Acquired {
  const strategy = { kind: { case: kind, value: { ...value, credentialField: "api_key" } } };
  const token = { revision, credentials: { api_key }, strategy } as MessageInitShape<typeof TokenSchema>;
  return { result: { case: "token", value: token } };
}

function routesTo(profiles: readonly MessageInitShape<typeof ProviderSchema>[]): SessionRoutes {
  const routes = profiles.map((profile) => routeOf(create(ProviderSchema, profile), ""));
  return new SessionRoutes(() => routes);
}

export function consentOf(authUrl: string): Acquired {
  return { result: { case: "consent", value: { authUrl, reason: "not_connected" } } };
}

function rpcsTo(world: () => EgressWorld): EgressRpcs {
  const none = () => Promise.reject(new Error("no such RPC here"));
  return {
    acquireToken: async (request) => {
      const { acquired, acquiredFor } = world();
      acquiredFor.push(request);
      await world().asking;
      const next = acquired.length > 1 ? acquired.shift() : acquired[0];
      return create(AcquireTokenResponseSchema, next);
    },
    reportRejectedToken: async (request) => {
      world().reported.push(request);
      await world().holding;
      return create(ReportRejectedTokenResponseSchema, { outcome: 2 });
    },
    getToken: none,
    createProof: none,
    watchTokens: (_, signal) => world().states(signal),
  };
}

/** The credential of a request that is not sent. @throws Problem */
export async function credentialFor(
  credentials: SessionCredentials,
  route: ProviderRoute,
  own: OwnRequest,
  wholeBody: () => Promise<Uint8Array | undefined> = async () => undefined,
): Promise<UsableCredential> {
  const none = (): never => {
    throw new Error("nothing is sent");
  };
  const exchange = credentials.exchange(route, own, {
    wholeBody,
    signal: () => new AbortController().signal,
    onCredential: () => undefined,
    send: none,
    responseOf: none,
    dismiss: none,
    canRepeat: none,
  });
  try {
    return await exchange.credential();
  } catch (error) {
    throw problemOf(error, route.providerName) ?? error;
  }
}
