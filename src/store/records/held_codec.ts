import { create } from "@bufbuild/protobuf";
import {
  CredentialSecretSchema,
  HeldCredentialSchema,
  type HeldCredential as HeldMessage,
} from "../../gen/nexus/store/v1/records_pb.js";
import type { HeldCredential } from "../../model/connections/authorization.js";
import type { TokenSet } from "../../model/credentials/credential.js";
import { Secret } from "../../runtime/secret.js";
import { decodeText } from "./field_codec.js";

export function toHeldMessage(held: HeldCredential): HeldMessage {
  const receivedAtMs = BigInt(held.receivedAtMs);
  if (held.kind === "fields") {
    const fields = Object.entries(held.fields).map(([name, value]) => [name, value.reveal()] as const);
    const credential = create(CredentialSecretSchema, { fields: Object.fromEntries(fields) });
    return create(HeldCredentialSchema, { credential, receivedAtMs });
  }
  const { tokenSet, callbackMetadata } = held;
  const message = create(HeldCredentialSchema, {
    credential: create(CredentialSecretSchema, {
      accessToken: tokenSet.accessToken.reveal(),
      refreshToken: tokenSet.refreshToken?.reveal() ?? "",
      tokenType: tokenSet.tokenType,
      idToken: tokenSet.idToken?.reveal() ?? "",
      grantBinding: held.binding ?? "",
    }),
    receivedAtMs,
    scopesKnown: tokenSet.scopes !== undefined,
    scopes: [...(tokenSet.scopes ?? [])],
    subject: tokenSet.subject ?? "",
    metadata: { ...tokenSet.metadata },
    callbackMetadata: { ...callbackMetadata },
  });
  const { expiresInMs, refreshExpiresInMs } = tokenSet;
  if (expiresInMs !== undefined) message.expiresInMs = BigInt(Math.round(expiresInMs));
  if (refreshExpiresInMs !== undefined) message.refreshExpiresInMs = BigInt(Math.round(refreshExpiresInMs));
  return message;
}

export function fromHeldMessage(message: HeldMessage): HeldCredential {
  const credential = message.credential ?? create(CredentialSecretSchema);
  const receivedAtMs = Number(message.receivedAtMs);
  if (credential.accessToken === "") {
    const fields = Object.entries(credential.fields).map(([name, value]) => [name, new Secret(value)]);
    return { kind: "fields", fields: Object.fromEntries(fields), receivedAtMs };
  }
  const tokenSet: TokenSet = {
    accessToken: new Secret(credential.accessToken),
    refreshToken: credential.refreshToken === "" ? undefined : new Secret(credential.refreshToken),
    tokenType: credential.tokenType,
    idToken: credential.idToken === "" ? undefined : new Secret(credential.idToken),
    expiresInMs: numberOf(message.expiresInMs),
    refreshExpiresInMs: numberOf(message.refreshExpiresInMs),
    scopes: message.scopesKnown ? message.scopes : undefined,
    subject: decodeText(message.subject),
    metadata: message.metadata,
  };
  const binding = decodeText(credential.grantBinding);
  return { kind: "token_set", tokenSet, binding, callbackMetadata: message.callbackMetadata, receivedAtMs };
}

function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
