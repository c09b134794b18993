/** How the token endpoint treats one refresh request. */
export const answers = [
  "rotate",
  "keep",
  "odd",
  "hollow",
  "slow",
  "drop_before",
  "drop_after",
  "gateway_before",
  "gateway_after",
  "refuse_connection",
  "invalid_grant",
  "consent_revoked",
  "invalid_client",
  "invalid_scope",
  "error_200",
  "too_many",
  "unavailable",
  "html",
  "no_code",
  "empty",
] as const;
export type Answer = (typeof answers)[number];

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `refused`: no connection was made. `dropped`: the request arrived, the answer did not. */
export type Outcome = Reply | "refused" | "dropped";

/** What a gateway says when it had no answer of the provider in time. */
export const gateway: Reply = { status: 504, headers: { "content-type": "text/html" }, body: "<html>" };

export const failures: Readonly<Partial<Record<Answer, Reply>>> = {
  invalid_grant: error(400, "invalid_grant"),
  consent_revoked: error(400, "token_revoked"),
  invalid_client: error(401, "invalid_client"),
  invalid_scope: error(400, "invalid_scope"),
  error_200: error(200, "temporarily_unavailable"),
  too_many: { ...error(429, "slow_down"), headers: { "retry-after": "20" } },
  unavailable: { status: 503, headers: {}, body: "" },
  html: { status: 200, headers: { "content-type": "text/html" }, body: "<html>gateway</html>" },
  no_code: { status: 400, headers: {}, body: "{}" },
};

/** How the provider acts, and nobody learns of it. */
export const losses: ReadonlyMap<Answer, Outcome> = new Map<Answer, Outcome>([
  ["drop_before", "dropped"],
  ["drop_after", "dropped"],
  ["gateway_before", gateway],
  ["gateway_after", gateway],
  ["empty", json({})],
]);
/** Of these, before it has done anything. */
export const unseen: ReadonlySet<Answer> = new Set(["drop_before", "gateway_before"]);

export function json(body: object, status = 200): Reply {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

export function error(status: number, code: string): Reply {
  return json({ error: code }, status);
}

/** Success in the clothes that providers have been seen to give it. */
export function oddly(members: Record<string, unknown>, which: number): Reply {
  const texts = Object.fromEntries(Object.entries(members).map(([name, value]) => [name, String(value)]));
  const variants: Reply[] = [
    json({ ...members, expires_in: "3600" }),
    json({ ...members, expires_in: null, scope: ["a", "b"] }),
    json({ ...members, token_type: undefined, expires_in: -1 }, 201),
    json({ ...members, error: "", id_token: "not a token", expires_in: 1e30 }),
    { status: 200, headers: { "content-type": "text/html" }, body: JSON.stringify(members) },
    { status: 200, headers: {}, body: new URLSearchParams(texts).toString() },
  ];
  return variants[which % variants.length] as Reply;
}
