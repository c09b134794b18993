import {
  type Account,
  type AccountField,
  accountOf,
  accountSource,
  standardClaims,
} from "../../model/credentials/account.js";
import { valueAt } from "../token_response.js";

/**
 * The account of a UserInfo response (OpenID Connect Core 1.0 section 5.3.2), or of whatever object an API answers in its place.
 *
 * @param mapping dotted path of each text; standard claims where it says none
 * @param endpoint that answered
 * @returns undefined for what is no JSON object, a signed response too, or says nothing of it
 */
export function readUserInfo(
  body: string,
  mapping: Readonly<Partial<Record<string, string>>>,
  endpoint: string,
): Account | undefined {
  const root = parsed(body);
  if (root === undefined) return undefined;
  const path = (field: AccountField): string => mapping[field] ?? standardClaims[field];
  const source = accountSource("user_info", endpoint, path("subject"));
  return accountOf((field) => valueAt(root, path(field)), source);
}

/** Whether the subject is `sub`, which an id_token of the same account has too. */
export function hasStandardSubject(mapping: Readonly<Partial<Record<string, string>>>): boolean {
  return (mapping["subject"] ?? standardClaims.subject) === standardClaims.subject;
}

function parsed(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
