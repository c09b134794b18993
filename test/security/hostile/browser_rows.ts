import { canary, type HttpRow, letters, type Place } from "./row.js";

type Send = ReturnType<HttpRow["send"]>;

function row(
  route: string,
  field: string,
  name: string,
  send: (place: Place) => Partial<Send> & { readonly query?: string },
  status: number,
  isAudited?: true,
): HttpRow {
  const [, path = ""] = route.split(" ");
  return {
    route,
    door: "browser",
    name,
    fields: [field],
    status,
    send: (place) => {
      const { query, ...more } = send(place);
      return { target: query === undefined ? path : `${path}?${query}`, ...more };
    },
    ...(isAudited ? { isAudited } : {}),
  };
}

const start = "GET /auth/start";
const callback = "GET /auth/callback/op";
const form = "GET /auth/capture";
const submit = "POST /auth/capture";
const sent = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
const markup = encodeURIComponent('"><script>alert(1)</script>');

const stateRows = (route: string): HttpRow[] => [
  row(route, "state", "nothing", () => ({}), 400),
  row(route, "state", "an empty one", () => ({ query: "state=" }), 400),
  row(route, "state", "two", ({ consentState }) => ({ query: `state=${consentState}&state=x` }), 400),
  row(route, "state", "a guess", () => ({ query: `state=${letters(43)}` }), 404),
  row(route, "state", "markup", () => ({ query: `state=${markup}` }), 404),
  row(route, "state", "U+0000", () => ({ query: "state=%00" }), 404),
  row(route, "state", "8000 characters", () => ({ query: `state=${letters(8000)}` }), 404),
  row(route, "state", "no UTF-8", () => ({ query: "state=%c0%80%ff" }), 404),
];

export const browserRows: readonly HttpRow[] = [
  ...stateRows(start),
  ...stateRows(form),
  row(callback, "state", "nothing", () => ({}), 404, true),
  row(callback, "state", "a guess", () => ({ query: `state=${letters(43)}&code=${canary}` }), 404, true),
  row(callback, "state", "markup", () => ({ query: `state=${markup}&code=x` }), 404, true),
  row(callback, "state", "two", () => ({ query: "state=y&state=x&code=x" }), 404, true),
  row(callback, "code", "markup", () => ({ query: `state=x&code=${markup}` }), 404, true),
  row(
    callback,
    "error",
    "markup",
    () => ({ query: `state=x&error=${markup}&error_description=${markup}` }),
    404,
    true,
  ),
  row(callback, "iss", "U+0000", () => ({ query: "state=x&code=x&iss=%00" }), 404, true),
  row(
    submit,
    "state",
    "a guess",
    () => ({ query: `state=${letters(43)}`, headers: sent, body: `api_key=${canary}` }),
    404,
  ),
  row(submit, "state", "nothing", () => ({ headers: sent, body: `api_key=${canary}` }), 400),
  row(
    submit,
    "cookie",
    "none",
    ({ captureState }) => ({ query: `state=${captureState}`, headers: sent, body: `api_key=${canary}` }),
    400,
  ),
  row(
    submit,
    "headers",
    "another site's form",
    ({ captureState }) => ({
      query: `state=${captureState}`,
      headers: { ...sent, "sec-fetch-site": "cross-site" },
      body: `api_key=${canary}`,
    }),
    400,
  ),
  row(
    submit,
    "headers",
    "another origin",
    ({ captureState }) => ({
      query: `state=${captureState}`,
      headers: { ...sent, origin: "https://evil.example" },
      body: `api_key=${canary}`,
    }),
    400,
  ),
  row(
    submit,
    "headers",
    "JSON",
    ({ captureState }) => ({
      query: `state=${captureState}`,
      headers: { ...sent, "content-type": "application/json" },
      body: `{"api_key":"${canary}"}`,
    }),
    415,
  ),
  row(
    submit,
    "body",
    "129 KiB",
    ({ captureState }) => ({ query: `state=${captureState}`, headers: sent, body: letters(132_096) }),
    413,
  ),
  ...[start, callback, form].flatMap((route) => [
    row(
      route,
      "headers",
      "another host",
      () => ({ query: "state=x", headers: { host: "evil.example" } }),
      421,
    ),
    row(route, "headers", "a host with a user", () => ({ query: "state=x", headers: { host: "a@b" } }), 421),
    row(route, "method", "TRACE", () => ({ query: "state=x", method: "TRACE" }), 405),
    row(route, "method", "PUT", () => ({ query: "state=x", method: "PUT" }), 405),
    row(
      route,
      "headers",
      "a prefetch",
      ({ consentState }) => ({ query: `state=${consentState}`, headers: { "sec-purpose": "prefetch" } }),
      503,
    ),
    row(
      route,
      "headers",
      "17 KiB of cookies",
      () => ({ query: "state=x", headers: { cookie: letters(17_000) } }),
      431,
    ),
  ]),
  row(start, "target", "a proxy's form", () => ({ target: "http://evil.example/auth/start?state=x" }), 400),
  row(start, "target", "a path that climbs", () => ({ target: "/auth/../../etc/passwd" }), 404),
];
