import { type ApiCertificate, apiCertificateOf } from "../../model/clients/api_certificate.js";
import { refusesCredential } from "../../model/credentials/refusal.js";
import { needsProof } from "../../model/credentials/strategy.js";
import { NexusError } from "../../model/errors.js";
import type {
  AnyStrategy,
  ApiRequest,
  ApplyOptions,
  AuthorizedRequest,
  Strategy,
} from "../../strategies/apply_strategy.js";
import { applyKnown } from "../../strategies/known_strategy.js";
import { StrategyError } from "../../strategies/strategy_error.js";
import { strategyOfShape } from "../../strategies/strategy_shapes.js";

/** A credential as it goes into requests. */
export interface UsableCredential {
  readonly strategy: Strategy;
  readonly credentials: Readonly<Record<string, string>>;
  readonly revision: bigint;
  /** Shown in TLS to an API that asks for one: a connection with it carries requests with this credential alone. */
  readonly certificate?: ApiCertificate | undefined;
}

/** A request to an API, without the credential, as the rules judge it. */
export interface JudgedRequest {
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Undefined while it is not read. */
  readonly body: Uint8Array | undefined;
  /** Names what sends it; empty for nothing. */
  readonly session: string;
  /** It is sent once more, since the API refused the credential of the first one. */
  readonly repeats: boolean;
}

/** What a user must do before there is a credential. */
export interface NeededConsent {
  readonly reason: string;
  /** Empty for a device authorization. */
  readonly authUrl: string;
  readonly verificationUri: string;
  readonly userCode: string;
}

export type CredentialAnswer =
  | { readonly kind: "credential"; readonly credential: UsableCredential }
  | { readonly kind: "consent"; readonly consent: NeededConsent }
  /** A rule needs the body of the request, which was left out. */
  | { readonly kind: "body_wanted" };

/** How an API responded to a credential. */
export interface ApiResponse {
  readonly status: number;
  /** Of all challenges; empty without one. */
  readonly wwwAuthenticate: string;
  /** `DPoP-Nonce` (RFC 9449 section 9); empty without one. */
  readonly dpopNonce: string;
}

/** What became of the report of a refused credential. */
export type ReportOutcome =
  /** There is another credential, or the same with the nonce that the API wants. */
  | { readonly kind: "superseded" | "refreshed" | "nonce_wanted" }
  | {
      /** The API wants other scopes, or another sign-in of the user (RFC 9470). */
      readonly kind: "scopes_missing" | "authentication_insufficient";
      readonly missingScopes: readonly string[];
      /** Undefined where the caller gets no link. */
      readonly consent: NeededConsent | undefined;
    }
  /** There is no other credential. */
  | { readonly kind: "rejected"; readonly error: NexusError };

export interface AskOptions {
  /** The user has the link, and the caller waits for the consent. */
  readonly waits: boolean;
  /** Made where somebody waits for it. */
  readonly signal: () => AbortSignal;
}

/** The credentials of one connection. */
export interface CredentialSource {
  /** For a request that the rules allow, which may take as long as a person needs. @throws NexusError */
  credential(request: JudgedRequest, options: AskOptions): Promise<CredentialAnswer>;
  /** Proves the key that the credential is bound to (RFC 9449). @param nonce that the API requested, or empty @throws NexusError */
  proof(
    credential: UsableCredential,
    method: string,
    url: string,
    nonce: string,
  ): Promise<string | undefined>;
  /** The API refused the credential. Absent where no other can come of it. @throws NexusError where none can come of this refusal */
  report?(
    credential: UsableCredential,
    response: ApiResponse,
  ): Promise<Exclude<ReportOutcome, { kind: "rejected" }>>;
}

/** Puts the credential of an attempt into a request. @throws StrategyError; NexusError where the proof of its key cannot be made */
export type PutCredential = (
  request: ApiRequest<Uint8Array>,
  options?: Omit<ApplyOptions, "proof">,
) => Promise<AuthorizedRequest<Uint8Array>>;

/** A request that is sent with a credential, by one way to send requests. */
export interface CredentialedRequest<Sent> {
  readonly source: CredentialSource;
  judged(): Omit<JudgedRequest, "repeats">;
  /** Reads all of the body, where a rule goes by it. @throws where it cannot be read */
  wholeBody?(): Promise<Uint8Array>;
  readonly signal?: () => AbortSignal;
  /** A user must act. @throws where the request does not wait for that */
  onConsent?(consent: NeededConsent): void;
  /** Called before the first attempt. */
  onCredential?(credential: UsableCredential): void;
  send(credential: UsableCredential, put: PutCredential): Promise<Sent>;
  /** Undefined where nothing of it can be a refusal. */
  responseOf(sent: Sent): ApiResponse | undefined;
  /** What was received is not wanted, since the request is sent once more. */
  dismiss(sent: Sent): void;
  /** Whether the body is at hand still; by default it is. */
  canRepeat?(): boolean;
  onReport?(outcome: ReportOutcome): void;
}

const neverAborted = new AbortController().signal;

/**
 * Sends a request with a user's credential: asks the rules and takes the credential, puts it in, and proves its key. An API that wants a nonce
 * gets it (RFC 9449 section 9). An API that refuses the credential is reported, and gets the request once more with the next one.
 */
export class CredentialedExchange<Sent> {
  constructor(private readonly request: CredentialedRequest<Sent>) {}

  /** @throws NexusError, and what `wholeBody` and `onConsent` throw */
  async credential(repeats = false): Promise<UsableCredential> {
    const { request } = this;
    let judged: JudgedRequest = { ...request.judged(), repeats };
    for (let waits = false; ; ) {
      const { signal = () => neverAborted } = request;
      const answer = await request.source.credential(judged, { waits, signal });
      if (answer.kind === "credential") return answer.credential;
      if (answer.kind === "consent" && request.onConsent) {
        request.onConsent(answer.consent);
        waits = true;
      } else if (answer.kind === "body_wanted" && judged.body === undefined && request.wholeBody) {
        judged = { ...judged, body: await request.wholeBody() };
      } else throw new Error(`nobody can act on the answer ${answer.kind}`);
    }
  }

  /**
   * @param first taken before; by default it is requested
   * @throws NexusError, StrategyError, and what the request throws
   */
  async run(first?: UsableCredential): Promise<Sent> {
    const { request } = this;
    const credential = first ?? (await this.credential());
    request.onCredential?.(credential);
    let sent = await this.#sent(credential, "");
    const nonce = wantedNonce(credential, request.responseOf(sent));
    if (nonce !== undefined && this.#canRepeat) {
      request.dismiss(sent);
      sent = await this.#sent(credential, nonce);
    }
    const refusal = refusalOf(request.responseOf(sent));
    if (!refusal || !(await this.#hasNext(credential, refusal)) || !this.#canRepeat) return sent;
    const next = await this.credential(true);
    request.dismiss(sent);
    return await this.#sent(next, refusal.dpopNonce || nonce);
  }

  get #canRepeat(): boolean {
    return this.request.canRepeat?.() ?? true;
  }

  #sent(credential: UsableCredential, nonce = ""): Promise<Sent> {
    const { source } = this.request;
    return this.request.send(credential, (request, options) =>
      putCredential(
        request,
        credential,
        (method, url) => source.proof(credential, method, url, nonce),
        options,
      ),
    );
  }

  /** Reports the refusal. @returns whether there is another credential to try, or the same once more with the nonce */
  async #hasNext(credential: UsableCredential, refusal: ApiResponse): Promise<boolean> {
    const { source, onReport } = this.request;
    if (!source.report) return false;
    let outcome: ReportOutcome;
    try {
      outcome = await source.report(credential, refusal);
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      outcome = { kind: "rejected", error };
    }
    onReport?.call(this.request, outcome);
    return outcome.kind !== "rejected" && !("missingScopes" in outcome);
  }
}

/** A token as the contract has it. */
interface ContractToken {
  readonly strategy?: AnyStrategy | undefined;
  readonly credentials: Readonly<Record<string, string>>;
  readonly revision: bigint;
}

/** Of messages, which nobody changes: one token goes into many requests. */
const knownCredentials = new WeakMap<ContractToken, UsableCredential>();

/** @throws StrategyError */
export function usableCredential(token: ContractToken): UsableCredential {
  const known = knownCredentials.get(token);
  if (known) return known;
  const { strategy, credentials, revision } = token;
  if (strategy === undefined) throw new StrategyError("invalid_strategy", "strategy", "is not set");
  const certificate = apiCertificateOf(credentials);
  const credential = { strategy: strategyOfShape(strategy), credentials, revision, certificate };
  knownCredentials.set(token, credential);
  return credential;
}

/**
 * Puts a credential into a request as its strategy says, with the proof of its key where it is bound to one.
 *
 * @param prove makes the proof for a method and a URL without its query, which is no part of it
 * @throws StrategyError, and what `prove` throws
 */
export async function putCredential(
  request: ApiRequest<Uint8Array>,
  { strategy, credentials }: Pick<UsableCredential, "strategy" | "credentials">,
  prove: (method: string, url: string) => Promise<string | undefined>,
  options: Omit<ApplyOptions, "proof"> = {},
): Promise<AuthorizedRequest<Uint8Array>> {
  const [bare = ""] = request.url.split(/[?#]/, 1);
  const proof = needsProof(strategy) ? await prove(request.method, bare) : undefined;
  return await applyKnown(request, strategy, credentials, {
    ...options,
    ...(proof !== undefined && { proof }),
  });
}

/** The nonce that an API wants in the proof of a bound credential, and did not get; undefined where it refuses something else. */
function wantedNonce({ strategy }: UsableCredential, response: ApiResponse | undefined): string | undefined {
  if (response?.status !== 401 || response.dpopNonce === "" || !needsProof(strategy)) return undefined;
  return /\buse_dpop_nonce\b/.test(response.wwwAuthenticate) ? response.dpopNonce : undefined;
}

/** Undefined where the API does not refuse the credential. */
function refusalOf(response: ApiResponse | undefined): ApiResponse | undefined {
  return response && refusesCredential(response.status, response.wwwAuthenticate) ? response : undefined;
}

/** Servers send no longer challenges. */
const maxChallengeCharacters = 8_192;

/** @param headers with names in lower case */
export function apiResponse(
  status: number,
  headers: Readonly<Record<string, number | string | readonly string[] | undefined>>,
): ApiResponse {
  const text = (name: string): string => [headers[name] ?? []].flat().join(", ");
  return {
    status,
    wwwAuthenticate: text("www-authenticate").slice(0, maxChallengeCharacters),
    dpopNonce: text("dpop-nonce"),
  };
}
