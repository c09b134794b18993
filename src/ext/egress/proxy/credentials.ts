import { randomBytes } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  CredentialedExchange,
  type CredentialedRequest,
  type NeededConsent,
  type PutCredential,
  type ReportOutcome,
  type UsableCredential,
} from "../../../domain/use/use.js";
import type { WatchTokensRequestSchema, WatchTokensResponse } from "../../../gen/nexus/v1/token_pb.js";
import { PermissionDenied, Unauthenticated } from "../../../model/model.js";
import { BoundedMap } from "../../../runtime/runtime.js";
import {
  AcquiredCredentials,
  type CredentialRpcs,
  UnjudgedMessages,
} from "../../../service/messages/messages.js";
import { AwsChunks } from "../../../strategies/strategies.js";
import { Mask } from "../injection/mask.js";
import {
  credentialOf,
  filledBasic,
  type HeaderFields,
  isInSignedChunks,
  passed,
  streamedBody,
  withoutPlaceholders,
} from "../injection/request_fields.js";
import type { Origin } from "./dial.js";
import { ProblemDetails } from "./problem.js";
import type { NamedRoute, ProviderRoute } from "./routes.js";
import { authorityOf } from "./upstream.js";

const watchBookmarkMs = 30_000;
/** What a signer adds that is no secret, and stands in answers for other reasons. */
const ofSignature = /^x-amz-(date|content-sha256)$/;
/** A session has few credentials at a time, and the forms of each are many. */
const maxMasks = 8;

/** A request of the program for an API. The credential of some strategies is made of all of it. */
export interface OwnRequest {
  readonly origin: Origin;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Without those of the connection. */
  readonly headers: Readonly<HeaderFields>;
  /** Undefined while it is not read. */
  readonly body?: Uint8Array | undefined;
}

/** How one request is sent, and what comes of it. */
export interface SendingRequest<Answer>
  extends Omit<CredentialedRequest<Answer>, "source" | "judged" | "wholeBody" | "onConsent" | "onReport"> {
  /** Reads the body, where a rule goes by it; undefined for one that is too long. */
  wholeBody(): Promise<Uint8Array | undefined>;
}

/** The RPCs of the daemon that a session needs. */
export interface EgressRpcs extends CredentialRpcs {
  /** @throws NexusError */
  watchTokens(
    request: MessageInitShape<typeof WatchTokensRequestSchema>,
    signal: AbortSignal,
  ): AsyncIterable<WatchTokensResponse>;
}

/** The credentials of one user, asked for at each request: what was refreshed, consented to or revoked meanwhile counts at once. */
export class SessionCredentials {
  /** By which the daemon knows the requests of one session. */
  readonly sessionId = randomBytes(9).toString("base64url");
  readonly #masks = new BoundedMap<string, Mask>(maxMasks);
  readonly #messages = new UnjudgedMessages();

  constructor(
    private readonly deps: {
      readonly rpcs: EgressRpcs;
      readonly userId: string;
      /** Whether requests are held until the user has consented. */
      readonly waitsForConsent: boolean;
      /** A user must act: called once for each link. */
      readonly onConsent: (providerName: string, link: string) => void;
      /** Whether a rule goes by requests to this provider now. Absent where that is not known: then each request is described. */
      readonly isJudged?: (providerName: string) => boolean;
    },
  ) {}

  /**
   * Sends a request with the credential of a route, if the rules of the daemon allow it.
   *
   * @throws Problem with the link, where a person must act first; NexusError, StrategyError, and what the sending throws
   */
  exchange<Answer>(
    route: ProviderRoute,
    own: OwnRequest,
    sending: SendingRequest<Answer>,
  ): CredentialedExchange<Answer> {
    const { rpcs, isJudged } = this.deps;
    const { origin, method, target, headers, body } = own;
    const rules = isJudged && { isJudged, messages: this.#messages };
    return new CredentialedExchange<Answer>({
      ...sending,
      source: new AcquiredCredentials(rpcs, this.#name(route), rules, headers["traceparent"]),
      judged: () => {
        const url = `https://${authorityOf(origin)}${target}`;
        return { method, url, headers, body, session: this.sessionId };
      },
      wholeBody: async () => {
        const whole = await sending.wholeBody();
        if (whole) return whole;
        const detail = "a rule goes by the body of this request, which is too long to be read";
        throw new ProblemDetails(413, "body-too-long", detail);
      },
      onConsent: (consent) => {
        this.#show(route, consent);
        if (!this.deps.waitsForConsent) throw consentNeeded(route.providerName, consent);
      },
      onReport: (outcome) => this.#reported(route, outcome),
    });
  }

  /**
   * @param headers as the program sent them
   * @returns what goes to the API, what signs the chunks of its body, and what hides the credential in its answer
   * @throws StrategyError
   */
  async put(
    { origin, method, target, headers, body }: OwnRequest,
    credential: UsableCredential,
    put: PutCredential,
  ) {
    const base = `https://${authorityOf(origin)}`;
    const bare = withoutPlaceholders(target);
    const { strategy } = credential;
    // What is compressed could not be masked.
    const own: HeaderFields = { ...passed(headers, strategy, bare), "accept-encoding": "identity" };
    const request = { method, url: `${base}${bare}`, headers: own, body };
    const authorized = await put(request, { bodyHash: streamedBody(bare, own, strategy) ?? "header" });
    const fields: HeaderFields = {};
    for (const [name, value] of Object.entries(authorized.headers)) fields[name.toLowerCase()] = value;
    const added = Object.entries(fields).flatMap(([name, value]) =>
      own[name] === value || ofSignature.test(name) ? [] : [value],
    );
    const basic = filledBasic(headers["authorization"], credential);
    const isChunked = isInSignedChunks(own, strategy);
    const secrets = [credentialOf(credential), ...added, ...added.map((value) => value.replace(/^\S+ /, ""))];
    return {
      path: authorized.url.slice(base.length),
      headers: { ...fields, ...basic, host: authorityOf(origin) },
      chunks: isChunked ? await AwsChunks.of(fields, strategy, credential.credentials) : undefined,
      mask: this.#mask(secrets),
    };
  }

  #mask(secrets: readonly string[]): Mask {
    const key = secrets.join("\n");
    const mask = this.#masks.get(key) ?? new Mask(secrets);
    this.#masks.set(key, mask);
    return mask;
  }

  #reported(route: ProviderRoute, outcome: ReportOutcome): void {
    if ("consent" in outcome && outcome.consent) this.#show(route, outcome.consent);
  }

  #show({ providerName }: ProviderRoute, consent: NeededConsent): void {
    this.deps.onConsent(providerName, linkOf(consent));
  }

  /** How the connections of these routes change. */
  watch(routes: readonly NamedRoute[], signal: AbortSignal): AsyncIterable<WatchTokensResponse> {
    const names = routes.map((route) => this.#name(route));
    const bookmarkInterval = durationFromMs(watchBookmarkMs);
    return this.deps.rpcs.watchTokens({ names, bookmarkInterval }, signal);
  }

  #name({ providerName, label }: NamedRoute) {
    return { providerName, userId: this.deps.userId, label };
  }
}

/** Whether the daemon refuses the caller itself. */
export function isRefused(error: unknown): boolean {
  return error instanceof PermissionDenied || error instanceof Unauthenticated;
}

function linkOf({ authUrl, verificationUri, userCode }: NeededConsent): string {
  return authUrl === "" ? `${verificationUri} (code ${userCode})` : authUrl;
}

function consentNeeded(providerName: string, consent: NeededConsent): ProblemDetails {
  const link = linkOf(consent);
  const detail = `a person must act before ${providerName} can be called (${consent.reason}): show them this link, and send the request again when they are done: ${link}`;
  return new ProblemDetails(403, "consent-required", detail, { provider: providerName, consent_url: link });
}
