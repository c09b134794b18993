import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AuthorizationSecretSchema,
  type CredentialSecret,
  CredentialSecretSchema,
  HeldCredentialSchema,
  type HeldCredential as HeldMessage,
} from "../../gen/nexus/store/v1/records_pb.js";
import type { HeldCredential } from "../../model/connections/authorization.js";
import type { Account } from "../../model/credentials/account.js";
import type { Credential } from "../../model/credentials/credential.js";
import { Secret } from "../../runtime/secret.js";
import { accountMessage, decodeAccount } from "./account_codec.js";
import { decodeText, fieldsOf } from "./field_codec.js";

/** The code that the user of a device authorization sees (RFC 8628 section 3.3); see `DeviceAuthorization`. */
export interface DeviceConsent {
  readonly userCode: string;
  readonly verificationUri: string;
  /** Empty where there is none. */
  readonly verificationUriComplete: string;
}

/** The same, and what it is redeemed with. */
export interface DeviceSecret extends DeviceConsent {
  readonly deviceCode: string;
}

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
  /** Of a device authorization. */
  readonly device?: DeviceSecret;
  /** Private key that the tokens are to be bound to (DPoP): a JWK. */
  readonly dpopKey?: Secret | undefined;
  /** Once the consent was given and waits for its confirmation; the rest is empty then. */
  readonly held?: HeldCredential;
}

type SecretFields = Readonly<Record<string, Secret>>;

/** Plaintext of a sealed static credential. */
export function encodeFields(fields: SecretFields): Uint8Array {
  return toBinary(CredentialSecretSchema, fieldsMessage(fields));
}

export function decodeFields(plaintext: Uint8Array): SecretFields {
  return fieldsOfMessage(fromBinary(CredentialSecretSchema, plaintext));
}

function fieldsMessage(fields: SecretFields): CredentialSecret {
  const revealed = Object.entries(fields).map(([name, value]) => [name, value.reveal()] as const);
  return create(CredentialSecretSchema, { fields: Object.fromEntries(revealed) });
}

function fieldsOfMessage({ fields }: CredentialSecret): SecretFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, new Secret(value)]));
}

/** Plaintext of a sealed credential. */
export function encodeCredential(credential: Credential): Uint8Array {
  return toBinary(CredentialSecretSchema, credentialMessage(credential));
}

export function decodeCredential(plaintext: Uint8Array): Credential {
  const secret = fromBinary(CredentialSecretSchema, plaintext);
  return {
    ...credentialOf(secret),
    ...(secret.grantBinding !== "" && { binding: secret.grantBinding }),
  };
}

function credentialMessage(credential: Credential): CredentialSecret {
  return create(CredentialSecretSchema, {
    accessToken: credential.accessToken.reveal(),
    refreshToken: credential.refreshToken?.reveal() ?? "",
    tokenType: credential.tokenType,
    idToken: credential.idToken?.reveal() ?? "",
    grantBinding: credential.binding ?? "",
    dpopKey: credential.dpopKey?.reveal() ?? "",
  });
}

function credentialOf(secret: CredentialSecret): Credential {
  const { accessToken, refreshToken, tokenType, idToken, dpopKey } = secret;
  return {
    accessToken: new Secret(accessToken),
    refreshToken: refreshToken === "" ? undefined : new Secret(refreshToken),
    tokenType,
    idToken: idToken === "" ? undefined : new Secret(idToken),
    ...(dpopKey !== "" && { dpopKey: new Secret(dpopKey) }),
  };
}

/** Plaintext of a sealed authorization. */
export function encodeAuthorizationSecret(authorization: AuthorizationSecret): Uint8Array {
  const { held, nonce = "", dpopKey, ...secret } = authorization;
  const message = {
    ...{ ...secret, nonce, dpopKey: dpopKey?.reveal() ?? "" },
    ...(held && { held: heldMessage(held) }),
  };
  return toBinary(AuthorizationSecretSchema, create(AuthorizationSecretSchema, message));
}

export function decodeAuthorizationSecret(plaintext: Uint8Array): AuthorizationSecret {
  const { nonce, held, device, dpopKey, ...secret } = fieldsOf(
    fromBinary(AuthorizationSecretSchema, plaintext),
  );
  return {
    ...secret,
    nonce: decodeText(nonce),
    ...(held && { held: heldOf(held) }),
    ...(device && { device: fieldsOf(device) }),
    ...(dpopKey !== "" && { dpopKey: new Secret(dpopKey) }),
  };
}

function heldMessage(held: HeldCredential): HeldMessage {
  const receivedAtMs = BigInt(held.receivedAtMs);
  if (held.kind === "fields") {
    const credential = fieldsMessage(held.fields);
    return create(HeldCredentialSchema, { credential, receivedAtMs, ...accountOfHeld(held.account) });
  }
  const { tokenSet, binding, callbackMetadata } = held;
  const { expiresInMs, refreshExpiresInMs, scopes, account } = tokenSet;
  return create(HeldCredentialSchema, {
    credential: credentialMessage({ ...tokenSet, binding }),
    receivedAtMs,
    scopesKnown: scopes !== undefined,
    scopes: [...(scopes ?? [])],
    subject: tokenSet.subject ?? "",
    metadata: { ...tokenSet.metadata },
    callbackMetadata: { ...callbackMetadata },
    ...accountOfHeld(account),
    ...(expiresInMs !== undefined && { expiresInMs: BigInt(Math.round(expiresInMs)) }),
    ...(refreshExpiresInMs !== undefined && { refreshExpiresInMs: BigInt(Math.round(refreshExpiresInMs)) }),
  });
}

function heldOf(message: HeldMessage): HeldCredential {
  const credential = message.credential ?? create(CredentialSecretSchema);
  const receivedAtMs = Number(message.receivedAtMs);
  if (credential.accessToken === "") {
    return { kind: "fields", fields: fieldsOfMessage(credential), ...heldAccount(message), receivedAtMs };
  }
  const tokenSet = {
    ...credentialOf(credential),
    expiresInMs: numberOf(message.expiresInMs),
    refreshExpiresInMs: numberOf(message.refreshExpiresInMs),
    scopes: message.scopesKnown ? message.scopes : undefined,
    subject: decodeText(message.subject),
    metadata: message.metadata,
    ...heldAccount(message),
  };
  const binding = decodeText(credential.grantBinding);
  return { kind: "token_set", tokenSet, binding, callbackMetadata: message.callbackMetadata, receivedAtMs };
}

function accountOfHeld(account: Account | undefined) {
  return account && { account: accountMessage(account), accountSource: account.source };
}

function heldAccount({ account, accountSource }: HeldMessage) {
  return account && { account: decodeAccount(account, accountSource) };
}

function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
