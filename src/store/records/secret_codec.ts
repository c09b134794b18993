import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AuthorizationSecretSchema, CredentialSecretSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { HeldCredential } from "../../model/connections/authorization.js";
import type { Credential } from "../../model/credentials/credential.js";
import { Secret } from "../../runtime/secret.js";
import { fromHeldMessage, toHeldMessage } from "./held_codec.js";

/** What a pending authorization keeps secret. */
export interface AuthorizationSecret {
  /** RFC 7636 section 4.1. */
  readonly codeVerifier: string;
  /** OpenID Connect Core section 3.1.2.1; undefined without `openid`. */
  readonly nonce: string | undefined;
  /** Value of the cookie that binds the browser. */
  readonly browserBinding: string;
  /** Of the link, which is answered again; empty where a credential is held. */
  readonly state: string;
  /** Once the consent was given and waits for its confirmation; the rest is empty then. */
  readonly held?: HeldCredential;
}

/** Plaintext of a sealed static credential. */
export function encodeFields(fields: Readonly<Record<string, Secret>>): Uint8Array {
  const revealed = Object.entries(fields).map(([name, value]) => [name, value.reveal()] as const);
  return toBinary(
    CredentialSecretSchema,
    create(CredentialSecretSchema, { fields: Object.fromEntries(revealed) }),
  );
}

export function decodeFields(plaintext: Uint8Array): Record<string, Secret> {
  const { fields } = fromBinary(CredentialSecretSchema, plaintext);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, new Secret(value)]));
}

/** Plaintext of a sealed credential. */
export function encodeCredential(credential: Credential): Uint8Array {
  return toBinary(
    CredentialSecretSchema,
    create(CredentialSecretSchema, {
      accessToken: credential.accessToken.reveal(),
      refreshToken: credential.refreshToken?.reveal() ?? "",
      tokenType: credential.tokenType,
      idToken: credential.idToken?.reveal() ?? "",
      grantBinding: credential.binding ?? "",
    }),
  );
}

export function decodeCredential(plaintext: Uint8Array): Credential {
  const secret = fromBinary(CredentialSecretSchema, plaintext);
  return {
    accessToken: new Secret(secret.accessToken),
    refreshToken: secret.refreshToken === "" ? undefined : new Secret(secret.refreshToken),
    tokenType: secret.tokenType,
    idToken: secret.idToken === "" ? undefined : new Secret(secret.idToken),
    ...(secret.grantBinding === "" ? {} : { binding: secret.grantBinding }),
  };
}

/** Plaintext of a sealed authorization. */
export function encodeAuthorizationSecret(secret: AuthorizationSecret): Uint8Array {
  return toBinary(
    AuthorizationSecretSchema,
    create(AuthorizationSecretSchema, {
      codeVerifier: secret.codeVerifier,
      nonce: secret.nonce ?? "",
      browserBinding: secret.browserBinding,
      state: secret.state,
      ...(secret.held === undefined ? {} : { held: toHeldMessage(secret.held) }),
    }),
  );
}

export function decodeAuthorizationSecret(plaintext: Uint8Array): AuthorizationSecret {
  const secret = fromBinary(AuthorizationSecretSchema, plaintext);
  return {
    codeVerifier: secret.codeVerifier,
    nonce: secret.nonce === "" ? undefined : secret.nonce,
    browserBinding: secret.browserBinding,
    state: secret.state,
    ...(secret.held === undefined ? {} : { held: fromHeldMessage(secret.held) }),
  };
}
