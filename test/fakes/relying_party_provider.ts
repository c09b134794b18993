import { createHmac, randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import {
  json,
  type ScriptedRequest,
  type ScriptedServer,
  startScriptedServer,
} from "../oauth/scripted_server.js";
import { newSigningKey, type SigningKey } from "../oauth/signing_key.js";

export type Claims = Record<string, unknown>;

/** How an id_token becomes one, from what a sound provider would sign. */
export type MakeIdToken = (claims: Claims, provider: RelyingPartyProvider) => string | undefined;

export const relyingParty = { clientId: "the-relying-party", clientSecret: "a-secret-of-the-relying-party" };

/**
 * The provider that the OpenID conformance suite plays for relying parties: it consents at once, signs what a module wants signed, and
 * writes down every request. Its id_tokens are sound until a script says otherwise.
 */
export class RelyingPartyProvider {
  readonly authorizations: URLSearchParams[] = [];
  readonly tokenRequests: ScriptedRequest[] = [];
  readonly userInfoRequests: ScriptedRequest[] = [];
  jwksRequests = 0;
  discoveryRequests = 0;
  key: SigningKey = newSigningKey("key-1");
  /** Published beside `key`. */
  otherKeys: readonly SigningKey[] = [];
  /** Changes the discovery document. */
  describe: (document: Claims) => Claims = (document) => document;
  makeIdToken: MakeIdToken = (claims, { key }) => key.sign(claims);
  makeRefreshedIdToken: MakeIdToken = (claims, { key }) => key.sign(claims);
  /** Called when a person consents, before anything is signed. */
  onAuthorization: () => void = () => undefined;
  #nonce: string | undefined;
  #refreshToken = "";

  private constructor(
    readonly server: ScriptedServer,
    private readonly nowMs: () => number,
  ) {
    server.script = (response, request) => this.#serve(response, request);
  }

  static async start(nowMs: () => number): Promise<RelyingPartyProvider> {
    return new RelyingPartyProvider(await startScriptedServer(), nowMs);
  }

  get issuer(): string {
    return this.server.origin;
  }

  rotateKey(): void {
    this.key = newSigningKey(`key-${randomBytes(4).toString("hex")}`);
  }

  #serve(response: ServerResponse, request: ScriptedRequest): void {
    const url = new URL(request.path, this.issuer);
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        this.discoveryRequests++;
        json(this.describe(this.#document()))(response, request);
        break;
      case "/jwks":
        this.jwksRequests++;
        json({ keys: [this.key, ...this.otherKeys].map(({ jwk }) => jwk) })(response, request);
        break;
      case "/authorize":
        this.#authorize(response, url.searchParams);
        break;
      case "/token":
        this.tokenRequests.push(request);
        this.#token(response, request);
        break;
      case "/userinfo":
        this.userInfoRequests.push(request);
        json({ sub: "ada" })(response, request);
        break;
      default:
        response.writeHead(404).end();
    }
  }

  #document(): Claims {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/authorize`,
      token_endpoint: `${this.issuer}/token`,
      userinfo_endpoint: `${this.issuer}/userinfo`,
      jwks_uri: `${this.issuer}/jwks`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256", "none"],
    };
  }

  #authorize(response: ServerResponse, query: URLSearchParams): void {
    this.authorizations.push(query);
    this.#nonce = query.get("nonce") ?? undefined;
    this.onAuthorization();
    const back = new URL(query.get("redirect_uri") ?? "");
    back.searchParams.set("state", query.get("state") ?? "");
    back.searchParams.set("code", randomBytes(16).toString("hex"));
    response.writeHead(302, { location: back.href }).end();
  }

  #token(response: ServerResponse, request: ScriptedRequest): void {
    const isRefresh = request.form.get("grant_type") === "refresh_token";
    if (isRefresh && request.form.get("refresh_token") !== this.#refreshToken) {
      json({ error: "invalid_grant" }, 400)(response, request);
      return;
    }
    const nowSeconds = Math.floor(this.nowMs() / 1000);
    const claims: Claims = {
      iss: this.issuer,
      sub: "ada",
      aud: relyingParty.clientId,
      iat: nowSeconds,
      exp: nowSeconds + 300,
      ...(this.#nonce === undefined || isRefresh ? {} : { nonce: this.#nonce }),
    };
    const idToken = (isRefresh ? this.makeRefreshedIdToken : this.makeIdToken)(claims, this);
    this.#refreshToken = randomBytes(16).toString("hex");
    json({
      access_token: randomBytes(16).toString("hex"),
      token_type: "Bearer",
      expires_in: 3600,
      refresh_token: this.#refreshToken,
      ...(idToken === undefined ? {} : { id_token: idToken }),
    })(response, request);
  }
}

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString("base64url");

/** `alg` none (RFC 7518 section 3.6). */
export function unsigned(claims: Claims): string {
  return `${encode({ alg: "none" })}.${encode(claims)}.`;
}

/** HMAC with the client secret (OpenID Connect Core 1.0 section 10.1). */
export function signedByHmac(claims: Claims): string {
  const input = `${encode({ alg: "HS256" })}.${encode(claims)}`;
  return `${input}.${createHmac("sha256", relyingParty.clientSecret).update(input).digest("base64url")}`;
}

/** The right form and the wrong bytes. */
export function withBrokenSignature(token: string): string {
  const [header, payload, signature = ""] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[0] = (bytes[0] ?? 0) ^ 0x01;
  return [header, payload, bytes.toString("base64url")].join(".");
}

export function without(claims: Claims, name: string): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([claim]) => claim !== name));
}
