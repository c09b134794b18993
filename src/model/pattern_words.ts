/** What the patterns of the contract mean: a person reads no regular expression. By the pattern, as the proto has it. */
export const patternWords: ReadonlyMap<string, string> = new Map([
  ["^[^\\x00-\\x1F\\x7F]*$", "must not hold control characters"],
  ["^[\\x20-\\x7E]*$", "must be printable ASCII"],
  ["^[0-9a-f-]*$", "must be lower-case hexadecimal digits and hyphens, as in an ID"],
  [
    "^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$",
    "must be printable ASCII without spaces, quotes and backslashes, and not empty (RFC 6749 section 3.3)",
  ],
  [
    "^[\\x21\\x23-\\x5B\\x5D-\\x7E]*$",
    "must be printable ASCII without spaces, quotes and backslashes (RFC 9449 section 8.1)",
  ],
  ["^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "must be a token of RFC 9110 section 5.6.2, such as GET"],
  [
    "^[a-z0-9][a-z0-9._-]{0,62}$",
    "must be 1 to 63 lower-case letters, digits, dots, underscores and hyphens, and begin with a letter or digit",
  ],
  [
    "^([a-z0-9-]{1,63}|\\*)$",
    "must be the name or id of a provider (1 to 63 lower-case letters, digits and hyphens), or * for any",
  ],
  [
    "^([a-z0-9][a-z0-9_-]{0,62})?$",
    "must be a name of up to 63 lower-case letters, digits, underscores and hyphens, never a path",
  ],
  [
    "^(\\*\\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:[1-9][0-9]{0,4})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
    "must be a lower-case host, such as uploads.example.com, *.example.com, or api.example.com:8443; a path may follow, such as example.com/api/graphql",
  ],
  ["^/[\\x21-\\x7E]{0,511}$", "must be a path that begins with /, of up to 512 printable ASCII characters"],
  ["^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}$", "must be a method of up to 40 characters (RFC 9110), such as GET"],
  ["^[a-z0-9-]{1,63}$", "must be a name of 1 to 63 lower-case letters, digits and hyphens"],
  [
    "^https?://[^\\s/?#@{}]+/[!-~]*$",
    "must be an http or https URL with a path, such as https://api.example.com/items/{id}, without a user and spaces",
  ],
  ["^[A-Z-]{1,20}$", "must be a method of 1 to 20 capital letters and hyphens, such as GET"],
  ["^[A-Za-z0-9._-]*$", "must be letters, digits, dots, underscores, and hyphens"],
  ["^https?://[^/?#@]+([/?][^#]*)?$", "must be an http or https URL without a user name and a fragment"],
  ["^(jwt|cert|uid):[^\\x00-\\x1F\\x7F]+$", "must be jwt:SUBJECT, cert:NAME or uid:NUMBER"],
  [
    "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "must be a lower-case UUID, such as 8f14e45f-ceea-467f-a8e5-1f0e2b6c7d90 (RFC 9562 section 4)",
  ],
  ["^[0-9a-f]{16}$", "must be 16 hexadecimal digits in lower case"],
  ["^[0-9a-f]{64}$", "must be 64 hexadecimal digits in lower case"],
]);

/** The message of a rule, with words instead of its pattern, and in English where it counts to one. */
export function inWords(message: string): string {
  if (message === "must be at least 1 characters") return "must not be empty";
  const [, pattern = ""] = /regex pattern `(.*)`$/.exec(message) ?? [];
  return patternWords.get(pattern) ?? message;
}
