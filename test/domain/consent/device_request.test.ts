import { expect, it } from "vitest";
import { DeviceRequests } from "../../../src/domain/consent/device_request.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import { GrantFailure, type GrantFailureFields } from "../../../src/oauth/failure.js";
import { aProfile } from "../../samples.js";

it.each<[what: string, fields: GrantFailureFields, words: string]>([
  [
    "refused",
    { kind: "client", oauthError: "unauthorized_client", httpStatus: 400 },
    "the provider refuses the client or what it asks for (unauthorized_client 400)",
  ],
  ["too much", { kind: "transient", httpStatus: 429 }, "the provider did not process the request (429)"],
  ["lost", { kind: "ambiguous" }, "the request was sent and no answer came back"],
])("a device authorization that is %s is not called a token request", async (_what, fields, words) => {
  const devices = new DeviceRequests({
    grants: { authorizeDevice: () => Promise.reject(new GrantFailure(fields)) },
    poller: { watch: () => {} },
  });
  const oauth2 = { ...plainOAuth2, deviceAuthorizationUrl: "https://op.example/device" };
  const profile = aProfile({ name: "op", oauth2 });
  const server = { metadata: { issuer: "https://op.example" } } as never;
  await expect(devices.authorize({ server, profile, scopes: [], codeVerifier: "v" })).rejects.toThrow(
    `op gives no device code: ${words}`,
  );
});
