import { canary, type HttpRow, letters, type Place } from "./row.js";

type Send = ReturnType<HttpRow["send"]>;

/** What is sent: a query, or more than that. */
type Sent = string | (Partial<Send> & { readonly query?: string });
type Line = readonly [
  field: string,
  name: string,
  send: Sent | ((place: Place) => Sent),
  status: number,
  isAudited?: true,
];

function table(route: string, lines: readonly Line[]): HttpRow[] {
  const [, path = ""] = route.split(" ");
  return lines.map(([field, name, send, status, isAudited]) => ({
    route,
    listener: "browser",
    name,
    fields: [field],
    status,
    send: (place) => {
      const given = typeof send === "function" ? send(place) : send;
      const { query, ...more } = typeof given === "string" ? { query: given } : given;
      return { target: query === undefined ? path : `${path}?${query}`, ...more };
    },
    ...(isAudited ? { isAudited } : {}),
  }));
}

const start = "GET /auth/start";
const agreed = "GET /auth/continue";
const callback = "GET /auth/callback/op";
const form = "GET /auth/capture";
const submit = "POST /auth/capture";
const sent = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
const markup = encodeURIComponent('"><script>alert(1)</script>');

/** The form of a request that is there, sent with other headers or another body. */
const submitted =
  (more: Partial<Send>) =>
  ({ captureState }: Place): Sent => ({
    query: `state=${captureState}`,
    body: `api_key=${canary}`,
    ...more,
    headers: { ...sent, ...more.headers },
  });

const stateRows = (route: string): HttpRow[] =>
  table(route, [
    ["state", "nothing", {}, 400],
    ["state", "an empty one", "state=", 400],
    ["state", "two", ({ consentState }) => `state=${consentState}&state=x`, 400],
    ["state", "a guess", `state=${letters(43)}`, 404],
    ["state", "markup", `state=${markup}`, 404],
    ["state", "U+0000", "state=%00", 404],
    ["state", "8000 characters", `state=${letters(8000)}`, 404],
    ["state", "no UTF-8", "state=%c0%80%ff", 404],
  ]);

export const browserRows: readonly HttpRow[] = [
  ...stateRows(start),
  ...stateRows(agreed),
  ...stateRows(form),
  ...table(callback, [
    ["state", "nothing", {}, 400, true],
    ["state", "a guess", `state=${letters(43)}&code=${canary}`, 404, true],
    ["state", "markup", `state=${markup}&code=x`, 404, true],
    ["state", "two", "state=y&state=x&code=x", 404, true],
    ["code", "markup", `state=x&code=${markup}`, 404, true],
    ["error", "markup", `state=x&error=${markup}&error_description=${markup}`, 404, true],
    ["iss", "U+0000", "state=x&code=x&iss=%00", 404, true],
  ]),
  ...table(submit, [
    ["state", "a guess", { query: `state=${letters(43)}`, headers: sent, body: `api_key=${canary}` }, 404],
    ["state", "nothing", { headers: sent, body: `api_key=${canary}` }, 400],
    ["cookie", "none", submitted({}), 400],
    ["headers", "another site's form", submitted({ headers: { "sec-fetch-site": "cross-site" } }), 400],
    ["headers", "another origin", submitted({ headers: { origin: "https://evil.example" } }), 400],
    [
      "headers",
      "JSON",
      submitted({ headers: { "content-type": "application/json" }, body: `{"api_key":"${canary}"}` }),
      415,
    ],
    ["body", "129 KiB", submitted({ body: letters(132_096) }), 413],
  ]),
  ...[start, agreed, callback, form].flatMap((route) =>
    table(route, [
      ["headers", "another host", { query: "state=x", headers: { host: "evil.example" } }, 421],
      ["headers", "a host with a user", { query: "state=x", headers: { host: "a@b" } }, 421],
      ["method", "TRACE", { query: "state=x", method: "TRACE" }, 405],
      ["method", "PUT", { query: "state=x", method: "PUT" }, 405],
      [
        "headers",
        "a prefetch",
        ({ consentState }) => ({ query: `state=${consentState}`, headers: { "sec-purpose": "prefetch" } }),
        503,
      ],
      ["headers", "17 KiB of cookies", { query: "state=x", headers: { cookie: letters(17_000) } }, 431],
    ]),
  ),
  ...table(start, [
    ["target", "a proxy's form", { target: "http://evil.example/auth/start?state=x" }, 400],
    ["target", "a path that climbs", { target: "/auth/../../etc/passwd" }, 404],
  ]),
];
