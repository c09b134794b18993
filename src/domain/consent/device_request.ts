import { FailedPrecondition, InvalidArgument, Unavailable } from "../../model/errors.js";
import { isConsented } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { DeviceConsent, DeviceSecret } from "../../store/records/secret_codec.js";
import type { TokenEndpointClient } from "../token_endpoint/token_endpoint_client.js";
import type { DevicePoller } from "./device_poller.js";

/** The code that the daemon redeems is left out. */
export function shownOf({ verificationUri, userCode, verificationUriComplete }: DeviceSecret): DeviceConsent {
  return { verificationUri, userCode, verificationUriComplete };
}

/** How long the server is left alone that named no time. */
const retryAfterMs = 5_000;

/** @throws InvalidArgument for what a device authorization cannot do */
export function refuseForDevice(
  profile: ProviderProfile,
  { returnUrl }: { readonly returnUrl: string | undefined },
  requireConfirmation: boolean,
): void {
  const refuse = (field: string, description: string): never => {
    throw new InvalidArgument([{ field, description }]);
  };
  if (!isConsented(profile)) refuse("device", "is for a profile of type oauth2 that a person consents to");
  if (returnUrl !== undefined) refuse("return_url", "must be empty with device: no browser comes back");
  if (requireConfirmation) refuse("device", "cannot be confirmed: no browser brings a completion code back");
}

/** A device code, as a pending authorization keeps it. */
export interface RequestedDevice {
  readonly secret: DeviceSecret;
  readonly expiresInMs: number;
  readonly intervalMs: number;
}

/** What a device authorization asks of the provider. */
export class DeviceRequests {
  constructor(
    private readonly deps: {
      readonly grants: Pick<TokenEndpointClient, "authorizeDevice">;
      readonly poller: Pick<DevicePoller, "watch">;
    },
  ) {}

  /** Waits for the person of a request that is stored. @param key of the pending authorization */
  watch(key: string): void {
    this.deps.poller.watch(key);
  }

  /** Asks for a device code. @throws FailedPrecondition, Unavailable, DataLoss */
  async authorize(request: {
    readonly server: AuthorizationServer | undefined;
    readonly profile: ProviderProfile;
    readonly scopes: readonly string[];
    readonly codeVerifier: string;
  }): Promise<RequestedDevice> {
    const { server, profile } = request;
    const { name, oauth2 } = profile;
    const endpoint = oauth2.deviceAuthorizationUrl || server?.deviceAuthorizationEndpoint;
    if (endpoint === undefined || !server) {
      throw new FailedPrecondition(
        "PROVIDER_MISCONFIGURED",
        `${name} names no device authorization endpoint: set oauth2_options.device_authorization_url, or ask without device`,
      );
    }
    try {
      const {
        deviceCode,
        verificationUriComplete = "",
        ...authorized
      } = await this.deps.grants.authorizeDevice({
        ...request,
        server,
        endpoint,
      });
      const { userCode, verificationUri, expiresInMs, intervalMs } = authorized;
      const secret = { deviceCode, userCode, verificationUri, verificationUriComplete };
      return { secret, expiresInMs, intervalMs };
    } catch (error) {
      if (!(error instanceof GrantFailure)) throw error;
      const sentence = `${name} gives no device code: ${error.message}`;
      const isPassing = error.kind === "transient" || error.kind === "ambiguous";
      if (isPassing && !error.isClientError)
        throw new Unavailable(sentence, error.retryAfterMs ?? retryAfterMs);
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", sentence, error);
    }
  }
}
