import type { Account } from "../credentials/account.js";
import type { Connection } from "./connection.js";
import { namePath } from "./connection_name.js";

type Found = Pick<Connection, "id" | "userId" | "label" | "providerName"> & {
  readonly account?: Account | undefined;
};

/** @param search what stands in one of its names, also as `PROVIDER/USER/LABEL`, or at the beginning of its id, in any case; empty finds every connection */
export function isFound({ id, userId, label, providerName, account }: Found, search: string): boolean {
  if (search === "") return true;
  const text = search.toLowerCase();
  const { subject = "", name = "", email = "", login = "" } = account ?? {};
  const path = namePath({ providerName, userId, label });
  const names = [path, userId, label, providerName, subject, name, email, login];
  return id.startsWith(text) || names.some((each) => each.toLowerCase().includes(text));
}
