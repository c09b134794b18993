import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Strategy } from "./gen/nexus/v1/strategy_pb.js";
import type { Token as TokenMessage } from "./gen/nexus/v1/token_pb.js";
import {
  type ApiRequest,
  type ApplyOptions,
  type AuthorizedRequest,
  applyStrategy,
  type RequestBody,
} from "./strategies/apply_strategy.js";

/** A usable credential. It shows no secret when it is logged or made into JSON. */
export class Token {
  /** 1 after the first consent, one more with every refresh or consent. */
  readonly revision: number;
  /** Undefined when the provider did not say. */
  readonly expiresAt: Date | undefined;
  /** Scopes granted. */
  readonly grantedScopes: readonly string[];
  /** `Bearer`, for example, or `DPoP` for a token that is bound to a key; empty for static credentials. */
  readonly tokenType: string;
  readonly #message: TokenMessage;

  constructor(message: TokenMessage) {
    this.revision = Number(message.revision);
    this.expiresAt = message.expiresAt && timestampDate(message.expiresAt);
    this.grantedScopes = message.grantedScopes;
    this.tokenType = message.tokenType;
    this.#message = message;
  }

  /** Whether each request needs a proof of a key beside it (RFC 9449): `nexus.fetch` and `nexus.interceptor` ask for it, `apply` takes it. */
  get isBound(): boolean {
    return this.tokenType === "DPoP";
  }

  /** The fields that the strategy names, for example `access_token`. */
  get credentials(): Readonly<Record<string, string>> {
    return this.#message.credentials;
  }

  /** How to apply them. */
  get strategy(): Strategy {
    const { strategy } = this.#message;
    if (!strategy) throw new Error("the daemon gave no strategy");
    return strategy;
  }

  /** The one credential that is sent as it is: an access token, or an API key. Undefined for Basic, HMAC and AWS, which have several. */
  get accessToken(): string | undefined {
    const { kind } = this.strategy;
    return kind.value && "credentialField" in kind.value
      ? this.credentials[kind.value.credentialField]
      : undefined;
  }

  /**
   * Puts the credential into a request as the strategy says: `fetch(request.url, request)`.
   *
   * @returns a new request
   * @throws StrategyError
   */
  apply<Body extends RequestBody = RequestBody>(
    request: ApiRequest<Body>,
    options: ApplyOptions = {},
  ): Promise<AuthorizedRequest<Body>> {
    return applyStrategy(request, this.strategy, this.credentials, options);
  }
}
