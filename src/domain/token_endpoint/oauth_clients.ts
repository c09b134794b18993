import {
  grantedByFile,
  provesByFile,
  provesByTls,
  signsByKeyFile,
} from "../../model/clients/client_proof.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { OAuthClient } from "../../oauth/client_authentication.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import type { AssertionFiles } from "./assertion_files.js";
import type { ClientKeys } from "./client_keys.js";
import type { KeyFiles } from "./key_files.js";

/** The client of a profile, with what proves it opened for one request. Every endpoint gets the same. */
export class OAuthClients {
  constructor(
    private readonly deps: {
      readonly vault: CredentialVault;
      readonly clientKeys?: Pick<ClientKeys, "signingKey">;
      readonly assertionFiles?: Pick<AssertionFiles, "read">;
      readonly keyFiles?: Pick<KeyFiles, "read">;
    },
  ) {}

  /** @throws DataLoss */
  open(profile: ProviderProfile): OAuthClient {
    const { assertionFiles, vault } = this.deps;
    const clientSecret = vault.openClientSecret(profile);
    const { tlsClientCertificate: chain, clientAssertionSource: source } = profile;
    return {
      clientId: profile.clientId,
      clientSecret,
      method: profile.tokenEndpointAuthMethod,
      signing: profile.oauth2,
      certificate: provesByTls(profile) && clientSecret ? { chain, privateKey: clientSecret } : undefined,
      assertion:
        assertionFiles && (provesByFile(profile) || grantedByFile(profile))
          ? { type: profile.oauth2.clientAssertionType, read: () => assertionFiles.read(source) }
          : undefined,
      ownKey: this.#keyOf(profile),
    };
  }

  #keyOf(profile: ProviderProfile): OAuthClient["ownKey"] {
    const { clientKeys, keyFiles } = this.deps;
    if (!signsByKeyFile(profile)) return clientKeys && ((alg) => clientKeys.signingKey(alg));
    const { clientKeySource: source, oauth2 } = profile;
    return (
      keyFiles && (async (alg) => ({ kid: oauth2.clientKeyId, privateKey: await keyFiles.read(source, alg) }))
    );
  }
}
