import * as oauth from "oauth4webapi";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { OAuth2Options } from "../../../src/model/providers/profile_settings.js";
import { sendTokenRequest } from "../../../src/oauth/token_request.js";
import { adaptTokenAnswer, normaliseTokenResponse, toTokenSet } from "../../../src/oauth/token_response.js";
import { mutateText, type Random } from "../../suites/random.js";
import { count, demand, shorterTexts, type Target } from "../target.js";

interface Input {
  readonly status: number;
  readonly body: string;
  readonly quirks: OAuth2Options;
  readonly isRefresh: boolean;
}

const nowMs = 1_800_000_000_000;
const tenYearsSeconds = 315_360_000;
const bodyMembers = new Set(
  "access_token token_type expires_in refresh_token scope id_token error error_description refresh_token_expires_in".split(
    " ",
  ),
);

const attacks = [
  '{"__proto__":{"access_token":"stolen"}}',
  '{"constructor":{"prototype":{"access_token":"stolen"}}}',
  '{"access_token":"a","__proto__":{"error":"x"},"toString":1,"hasOwnProperty":null}',
  '{"access_token":"a","access_token":"b"}',
  "access_token=a&access_token=b",
  "access_token=a&error=denied",
  '{"access_token":{"toString":"a"}}',
  '{"access_token":["a"]}',
  '{"access_token":"a","expires_in":1e999}',
  '{"access_token":"a","expires_in":-1}',
  '{"access_token":"a","expires_in":"NaN"}',
  '{"access_token":"a","expires_in":"0x10"}',
  '{"access_token":"a","refresh_expires_in":1e308}',
  '{"access_token":"a\\r\\nx: y","refresh_token":"\\u0000"}',
  `{"access_token":"a","scope":"${" ,".repeat(20_000)}"}`,
  `${"[".repeat(100_000)}`,
  `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`,
  `{"access_token":"a","expires_in":"${"9".repeat(50_000)}"}`,
  `{"access_token":"a","expires_in":"${" ".repeat(50_000)}x"}`,
  `${"a=1&".repeat(50_000)}access_token=a`,
  `${" ".repeat(100_000)}x`,
  '\ufeff{"access_token":"a"}',
  "<html>access_token=a</html>",
  '{"ok":false,"access_token":"a"}',
  '{"ok":true,"authed_user":{"access_token":"a","expires_at":99999999999999999999}}',
  "null",
  '"access_token=a"',
  "true",
  "",
];

const quirkSets: readonly OAuth2Options[] = [
  plainOAuth2,
  { ...plainOAuth2, tokenResponsePath: "authed_user" },
  { ...plainOAuth2, tokenResponsePath: "__proto__.x", lifetimeField: "constructor.name" },
  {
    ...plainOAuth2,
    lifetimeField: "expires_at",
    tokenMetadata: ["team.id", "access_token", "__proto__", "list.0", "refresh_token"],
  },
  { ...plainOAuth2, invalidGrantAliases: ["bad_refresh_token", "data.code=42", "__proto__.x=1", "ok=false"] },
];

/** Odd answers may be fixed; none may end in a token that the provider did not state where it counts, nor in a throw. */
export async function tokenAnswerTarget(): Promise<Target<Input>> {
  const tally = new Map<string, number>();
  return {
    tally,
    corpus: attacks.flatMap((body) =>
      quirkSets.flatMap((quirks) =>
        [200, 400].map((status) => ({ status, body, quirks, isRefresh: status === 200 })),
      ),
    ),
    draw,
    show: (input) => JSON.stringify(input),
    shrink: function* (input) {
      for (const body of shorterTexts(input.body)) yield { ...input, body };
    },
    judge: async (input) => {
      const began = process.cpuUsage();
      judgeNormalised(input, tally);
      await judgeAccepted(input, tally);
      const tookMs = process.cpuUsage(began).user / 1000;
      demand(tookMs < 1_000, `took ${Math.round(tookMs)} ms for ${input.body.length} characters`);
      demand(Object.keys(Object.prototype).length === 0, "the prototype of all objects was changed");
    },
  };
}

function judgeNormalised({ status, body, quirks, isRefresh }: Input, tally: Map<string, number>): void {
  const adapted = adaptTokenAnswer(body, quirks, { nowMs, isRefresh });
  for (const [name, text] of Object.entries(adapted.metadata)) {
    demand(quirks.tokenMetadata.includes(name), "metadata that the profile does not name");
    demand(!/token|secret/i.test(name), "metadata named like a secret is kept");
    demand(text.length <= 1_024, "metadata is long");
  }
  const answer = normaliseTokenResponse(status, adapted.bodyText);
  count(tally, answer.body.access_token === undefined ? (answer.body.error ? "error" : "nothing") : "tokens");
  for (const name of Object.keys(answer.body)) demand(bodyMembers.has(name), `another member: ${name}`);
  const { access_token, refresh_token, id_token, expires_in, refresh_token_expires_in, scope, error } =
    answer.body;
  const isSuccess = answer.status === 200;
  if (!isSuccess) demand(!access_token && !refresh_token && !id_token, "tokens of an answer that is none");
  if (isSuccess) demand(status >= 200 && status <= 299 && error === undefined, "an error became a success");
  if (isSuccess && access_token === undefined && refresh_token === undefined)
    demand(Object.keys(answer.body).length === 0, "half an answer");
  for (const seconds of [expires_in, refresh_token_expires_in]) {
    const isRange =
      seconds === undefined || (Number.isInteger(seconds) && seconds >= 1 && seconds <= tenYearsSeconds);
    demand(isRange, `a lifetime of ${seconds}`);
  }
  if (scope !== undefined) demand(/^\S+( \S+)*$/.test(scope), "a scope is no list of words");
  const given = givenTokens(body, quirks, isRefresh);
  for (const token of [access_token, refresh_token, id_token]) {
    demand(
      token === undefined || (token !== "" && given.has(token)),
      "a token that the answer does not state where it counts",
    );
  }
}

/** Texts of members with the names of tokens: at the root, or where the profile says; not by a prototype and not deeper. */
function givenTokens(body: string, quirks: OAuth2Options, isRefresh: boolean): Set<string> {
  const given = new Set<string>();
  const add = (object: unknown): void => {
    for (const name of ["access_token", "refresh_token", "id_token"]) {
      if (typeof object !== "object" || object === null || !Object.hasOwn(object, name)) continue;
      const value = (object as Record<string, unknown>)[name];
      if (typeof value === "string") given.add(value);
    }
  };
  try {
    const root: unknown = JSON.parse(body.replace(/^\ufeff/, ""));
    if (typeof root === "object" && root !== null && !Array.isArray(root)) {
      if (quirks.tokenResponsePath === "" || isRefresh) add(root);
      const path = quirks.tokenResponsePath;
      if (path !== "") {
        add(
          path
            .split(".")
            .reduce<unknown>((value, name) => (isOwn(value, name) ? value[name] : undefined), root),
        );
      }
      return given;
    }
  } catch {
    // A form, then.
  }
  for (const [name, value] of new URLSearchParams(body.trim())) {
    if (name.endsWith("_token")) given.add(value);
  }
  return given;
}

function isOwn(value: unknown, name: string): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

/** On through the library, as a refresh goes. */
async function judgeAccepted(
  { status, body, quirks, isRefresh }: Input,
  tally: Map<string, number>,
): Promise<void> {
  if (status < 200 || status > 599) return;
  const hasNoBody = [204, 205, 304].includes(status);
  const server = { issuer: "https://op.example", token_endpoint: "https://op.example/token" };
  const raw = new Response(hasNoBody ? null : body, { status, headers: { "content-type": "text/plain" } });
  const shape = { quirks, nowMs, isRefresh };
  const answer = await sendTokenRequest(
    () => Promise.resolve(raw),
    shape,
    (fetch) =>
      fetch("https://op.example/token", {
        method: "POST",
        headers: {},
        body: new URLSearchParams(),
        signal: AbortSignal.timeout(1e6),
      } as never),
  );
  try {
    const processed = await oauth.processRefreshTokenResponse(server, { client_id: "c" }, answer.response);
    const set = toTokenSet(processed, undefined, answer.metadata);
    demand(status >= 200 && status <= 299, "a token set of an error");
    demand(set.accessToken.reveal() !== "", "an empty access token");
    count(tally, "accepted");
  } catch (error) {
    const isRefusal =
      error instanceof oauth.OperationProcessingError ||
      error instanceof oauth.ResponseBodyError ||
      error instanceof oauth.WWWAuthenticateChallengeError;
    if (!isRefusal) throw error;
    count(tally, "refused");
  }
}

function draw(random: Random): Input {
  const value = (depth: number): unknown =>
    random.pick([
      () => random.text("abcXYZ019-._~+/= ", 0, 12),
      () => random.pick([0, 1, -1, 3600, 1.5, 1e12, 1e308, 2 ** 53, true, false, null, ""]),
      () =>
        random.pick([
          "3600",
          " 60 ",
          "1e3",
          "-5",
          "0x1f",
          "2030-01-01T00:00:00Z",
          "read,write",
          "read write",
          "a, b",
          "\u0000",
        ]),
      () => (depth > 3 ? "deep" : random.list(0, 3, () => value(depth + 1))),
      () => (depth > 3 ? null : object(depth + 1)),
    ])();
  const names = [
    ...bodyMembers,
    ..."ok authed_user __proto__ constructor team id list data code expires_at prototype x refresh_expires_in authorization_expires_in".split(
      " ",
    ),
  ];
  const object = (depth: number): unknown =>
    Object.fromEntries(random.list(0, 6, () => [random.pick(names), value(depth)] as const));
  const usual = (): Record<string, unknown> => ({
    access_token: `at-${random.next()}`,
    token_type: random.pick(["bearer", "Bearer", "DPoP", "mac", 7]),
    ...(random.once(2) ? { refresh_token: `rt-${random.next()}` } : {}),
    ...(random.once(2) ? { expires_in: value(4) } : {}),
    ...(random.once(4) ? { authed_user: object(1) } : {}),
    ...(random.once(4) ? (object(1) as Record<string, unknown>) : {}),
  });
  const base = random.pick([
    () => JSON.stringify(usual()),
    () => JSON.stringify(usual()),
    () => JSON.stringify(object(0)),
    () => JSON.stringify({ authed_user: usual(), ok: random.pick([true, false, 1]) }),
    () =>
      new URLSearchParams(
        random.list<[string, string]>(0, 6, () => [random.pick(names), String(value(4))]),
      ).toString(),
    () => random.pick(attacks),
  ])();
  return {
    status: random.pick([200, 200, 200, 201, 204, 302, 400, 401, 429, 500, 503]),
    body: random.once(3) ? mutateText(random, base) : base,
    quirks: random.pick(quirkSets),
    isRefresh: random.once(2),
  };
}
