import { create } from "@bufbuild/protobuf";
import { type Account as AccountMessage, AccountSchema } from "../../gen/nexus/v1/connection_pb.js";
import type { Account } from "../../model/credentials/account.js";

/** Without `source`, which lies beside it. */
export function accountMessage({ subject, name, email, login }: Account): AccountMessage {
  return create(AccountSchema, { subject, name, email, login });
}

export function decodeAccount({ subject, name, email, login }: AccountMessage, source: string): Account {
  return { subject, name, email, login, source };
}
