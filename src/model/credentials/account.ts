import { createHash } from "node:crypto";

/** Whose account a credential belongs to, as the provider reported. Texts that it did not say are empty. */
export interface Account {
  /** The provider's identifier of the account. */
  readonly subject: string;
  readonly name: string;
  readonly email: string;
  readonly login: string;
  /** Who reported `subject`, as `accountSource` has it: those of two sources cannot be compared. */
  readonly source: string;
}

export const accountFields = ["subject", "name", "email", "login"] as const;
export type AccountField = (typeof accountFields)[number];

/** Where the texts stand when nobody says it: the standard claims (OpenID Connect Core 1.0 section 5.1). */
export const standardClaims: Readonly<Record<AccountField, string>> = {
  subject: "sub",
  name: "name",
  email: "email",
  login: "preferred_username",
};

/** Longer ones are dropped whole: half an identifier would name something else. */
const maxLength = 256;
/** What would steer a terminal or turn a text around; joiners of scripts that need them stay. */
const steering = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** @returns undefined when nothing of it was stated */
export function accountOf(claim: (field: AccountField) => unknown, source: string): Account | undefined {
  const [subject = "", name = "", email = "", login = ""] = accountFields.map((field) =>
    textOf(claim(field)),
  );
  const account = { subject, name, email, login, source };
  return accountFields.some((field) => account[field] !== "") ? account : undefined;
}

/** @param parts what together says whose identifiers they are */
export function accountSource(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22);
}

/** `newer`, and of `older` what that does not say, if both are of one account. */
export function mergedAccount(older: Account | undefined, newer: Account): Account {
  const isSame = older?.subject === newer.subject || newer.subject === "";
  if (!older || !isSame) return newer;
  const { subject, source } = newer.subject === "" ? older : newer;
  const text = (field: AccountField): string => newer[field] || older[field];
  return { subject, name: text("name"), email: text("email"), login: text("login"), source };
}

/** Whether they are known to be two. */
export function isOtherAccount(before: Account | undefined, now: Account | undefined): boolean {
  if (!before || !now || before.source !== now.source) return false;
  return before.subject !== "" && now.subject !== "" && before.subject !== now.subject;
}

/** For people: what they know it by. Empty when the provider did not say whose it is. */
export function accountText(account: Pick<Account, AccountField> | undefined): string {
  if (!account) return "";
  return account.email || account.login || account.name || account.subject;
}

function textOf(value: unknown): string {
  if (typeof value !== "string" && !Number.isSafeInteger(value)) return "";
  const text = String(value).replace(steering, "").trim();
  return text.length > maxLength ? "" : text;
}
