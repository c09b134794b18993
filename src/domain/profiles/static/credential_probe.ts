import { apiCertificateOf } from "../../../model/clients/api_certificate.js";
import type { Account } from "../../../model/credentials/account.js";
import type { StaticCredential } from "../../../model/credentials/credential.js";
import type { Strategy } from "../../../model/credentials/strategy.js";
import { FailedPrecondition, type FieldViolation, Unavailable } from "../../../model/errors.js";
import type { ProviderProfile, ProviderSettings } from "../../../model/providers/provider_profile.js";
import { isLoopbackHost } from "../../../model/providers/provider_profile.js";
import { userInfoUrl } from "../../../model/providers/user_info.js";
import { readUserInfo } from "../../../oauth/resource/user_info.js";
import { type AuthorityFiles, trusting } from "../../../outbound/certificate_authorities.js";
import type { OutboundResponse } from "../../../outbound/outbound_exchange.js";
import { OutboundError, type OutboundFetch } from "../../../outbound/outbound_fetch.js";
import type { Secret } from "../../../runtime/secret.js";
import { checkCredential } from "./credential_values.js";

/** A request of an agent to a provider's API. */
export interface TrialRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Puts a credential into a request as the strategy says. */
export type ApplyStrategy = (
  request: TrialRequest,
  strategy: Strategy,
  credentials: Readonly<Record<string, string>>,
  options?: { readonly proof?: string },
) => Promise<TrialRequest>;

/** Tries static credentials at the provider, where the profile says how. */
export class CredentialTrial {
  constructor(
    private readonly deps: {
      readonly apply: ApplyStrategy;
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
   * One `GET` of the profile's `user_info_endpoint`; nothing where the profile does not name it.
   *
   * @returns whose it is, where the answer says it
   * @throws FailedPrecondition CREDENTIAL_REJECTED when the provider answers 401 or 403, PROVIDER_MISCONFIGURED when it stands where
   * the daemon must not call; Unavailable when it does not answer 2xx
   */
  async try(
    profile: ProviderProfile,
    fields: Readonly<Record<string, Secret>>,
  ): Promise<Account | undefined> {
    const url = userInfoUrl(profile);
    if (url === undefined) return undefined;
    const answer = await this.#send(url, profile, fields);
    processTrial(answer.status);
    return readUserInfo(await answer.text(), profile.userInfoMapping, url.href);
  }

  async #send(
    url: URL,
    { strategy, apiCaFile }: ProviderProfile,
    fields: Readonly<Record<string, Secret>>,
  ): Promise<OutboundResponse> {
    const credentials = Object.entries(fields).map(([name, value]) => [name, value.reveal()]);
    const bare = { method: "GET", url: url.href, headers: { accept: "application/json" } };
    try {
      const request = await this.deps.apply(bare, strategy, Object.fromEntries(credentials));
      const clientCertificate = apiCertificateOf(Object.fromEntries(credentials));
      const { headers } = request;
      const { outbound, authorityFiles } = this.deps;
      return await trusting(
        outbound,
        authorityFiles,
        apiCaFile,
      )(request.url, {
        ...{ method: "GET", headers },
        ...(clientCertificate && { clientCertificate }),
      });
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
