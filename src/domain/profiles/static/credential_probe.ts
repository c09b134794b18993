import { apiCertificateOf } from "../../../model/clients/api_certificate.js";
import type { Account } from "../../../model/credentials/account.js";
import type { StaticCredential } from "../../../model/credentials/credential.js";
import { FailedPrecondition, type FieldViolation, Unavailable } from "../../../model/errors.js";
import type { ProviderProfile, ProviderSettings } from "../../../model/providers/provider_profile.js";
import { isLoopbackHost } from "../../../model/providers/provider_profile.js";
import { userInfoUrl } from "../../../model/providers/user_info.js";
import { readUserInfo } from "../../../oauth/resource/user_info.js";
import { type AuthorityFiles, trusting } from "../../../outbound/certificate_authorities.js";
import type { OutboundResponse } from "../../../outbound/outbound_exchange.js";
import { OutboundError, type OutboundFetch } from "../../../outbound/outbound_fetch.js";
import type { Secret } from "../../../runtime/secret.js";
import {
  apiResponse,
  CredentialedExchange,
  type CredentialSource,
  type ReportOutcome,
} from "../../use/use.js";
import { checkCredential } from "./credential_values.js";

/** Of one trial. */
interface TrialOptions {
  readonly onReport?: (outcome: ReportOutcome) => void;
  /** Ends it; it is `Unavailable` then. */
  readonly signal?: AbortSignal;
}

/** Tries credentials at the provider, where the profile says how: by one `GET` of its `user_info_endpoint`. */
export class CredentialTrial {
  constructor(
    private readonly deps: {
      readonly outbound: OutboundFetch;
      readonly authorityFiles?: AuthorityFiles;
    },
  ) {}

  /**
   * Judges the fields of a static type by the profile's schema, and tries them.
   *
   * @throws InvalidArgument naming `credentials.<field>`, and as `try`
   */
  async check(profile: ProviderProfile, values: Readonly<Record<string, string>>): Promise<StaticCredential> {
    const fields = checkCredential(profile, values);
    return { fields, account: await this.try(profile, fields) };
  }

  /**
   * Tries static credentials; nothing where the profile names no endpoint.
   *
   * @returns whose it is, where the answer says it
   * @throws as `send`; FailedPrecondition CREDENTIAL_REJECTED when the provider answers 401 or 403; Unavailable when it does not answer 2xx
   */
  async try(
    profile: ProviderProfile,
    fields: Readonly<Record<string, Secret>>,
  ): Promise<Account | undefined> {
    const url = userInfoUrl(profile);
    if (url === undefined) return undefined;
    const values = Object.entries(fields).map(([name, value]) => [name, value.reveal()]);
    const credentials: Readonly<Record<string, string>> = Object.fromEntries(values);
    const { strategy } = profile;
    const certificate = apiCertificateOf(credentials);
    const credential = { strategy, credentials, revision: 0n, certificate };
    const answer = await this.send(url, profile, {
      credential: async () => ({ kind: "credential", credential }),
      proof: async () => undefined,
    });
    processTrial(answer.status);
    return readUserInfo(await answer.text(), profile.userInfoMapping, url.href);
  }

  /**
   * Sends the request with a credential of the source.
   *
   * @param url of `userInfoUrl`
   * @throws what the source throws; FailedPrecondition PROVIDER_MISCONFIGURED when the endpoint stands where the daemon must not call;
   * Unavailable when it does not answer
   */
  async send(
    url: URL,
    { apiCaFile }: ProviderProfile,
    source: CredentialSource,
    { onReport, signal }: TrialOptions = {},
  ): Promise<OutboundResponse> {
    const { outbound, authorityFiles } = this.deps;
    const send = trusting(outbound, authorityFiles, apiCaFile);
    const bare = { method: "GET", url: url.href, headers: { accept: "application/json" } };
    try {
      return await new CredentialedExchange<OutboundResponse>({
        source,
        judged: () => ({ ...bare, body: undefined, session: "" }),
        send: async ({ certificate: clientCertificate }, put) => {
          const { url: to, headers } = await put(bare);
          const request = { method: "GET", headers, signal } as const;
          return await send(to, { ...request, ...(clientCertificate && { clientCertificate }) });
        },
        responseOf: ({ status, headers }) => apiResponse(status, Object.fromEntries(headers)),
        dismiss: () => undefined,
        ...(onReport && { onReport }),
      }).run();
    } catch (error) {
      if (!(error instanceof OutboundError)) throw error;
      if (error.isForbidden || error.reason === "authority_file")
        throw new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message, error);
      throw new Unavailable(
        `the credential could not be tried at ${error.host}: ${error.reason}`,
        undefined,
        error,
      );
    }
  }
}

/** What the status of the answer says; 2xx says yes. */
export function processTrial(status: number): void {
  if (status >= 200 && status < 300) return;
  if (status === 401 || status === 403) {
    throw new FailedPrecondition("CREDENTIAL_REJECTED", `the provider refused the credential with ${status}`);
  }
  throw new Unavailable(`the credential could not be tried: the provider answered ${status}`);
}

/** Errors of a static profile's `user_info_endpoint`, which is a path below `api_base_url` or a URL of its own. */
export function trialViolations(settings: ProviderSettings): FieldViolation[] {
  if (settings.authType === "oauth2" || !URL.canParse(settings.apiBaseUrl)) return [];
  const url = userInfoUrl(settings);
  if (settings.userInfoEndpoint === "") return [];
  const secure = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url && secure && url.username === "" && url.password === "" && url.hash === "") return [];
  const description =
    "must be a path below api_base_url, or an https URL (http only on loopback) without user, password and fragment";
  return [{ field: "provider.user_info_endpoint", description }];
}
