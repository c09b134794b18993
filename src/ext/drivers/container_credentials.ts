import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ConnectionName } from "../../model/connections/connections.js";
import { type Acquire, MetadataRefusal } from "./acquire.js";

/** After which an SDK asks again for a key that does not expire, in milliseconds. SDKs of AWS need a time, and ask some minutes before it. */
const keyLifeMs = 3_600_000;

/**
 * The answer of the container credentials provider of AWS SDKs.
 *
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * @throws MetadataRefusal; WireError
 */
export async function containerCredentials(acquire: Acquire, name: ConnectionName, nowMs: number) {
  const { credentials, expiresAt } = await acquire(name);
  const {
    access_key: accessKeyId = "",
    secret_key: secretAccessKey = "",
    session_token: token,
  } = credentials;
  if (accessKeyId === "" || secretAccessKey === "") {
    const message = `the connection ${name.providerName} has no fields access_key and secret_key: it is no key of AWS`;
    throw new MetadataRefusal(409, "failed_precondition", message);
  }
  return {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    // Ruby's SDK wants the member.
    Token: token ?? "",
    Expiration: new Date(expiresAt ? timestampMs(expiresAt) : nowMs + keyLifeMs)
      .toISOString()
      .replace(/\.\d+/, ""),
  };
}
