import { create } from "@bufbuild/protobuf";
import { type ConnectionName, ConnectionNameSchema } from "./gen/nexus/v1/connection_pb.js";

/** A connection by provider, user and label, and a key of it for maps. */
export interface TokenName {
  readonly key: string;
  readonly message: ConnectionName;
}

export function tokenName(provider: string, user: string, label = ""): TokenName {
  const providerName = provider.trim().toLowerCase();
  const message = create(ConnectionNameSchema, { providerName, userId: user, label });
  return { key: keyOf(message), message };
}

/** As `ConnectionName` is written as one text. */
export function keyOf(name: { providerName: string; userId: string; label: string }): string {
  return JSON.stringify([name.providerName.toLowerCase(), name.userId, name.label]);
}
