import { expect, it } from "vitest";
import {
  type ApiResponse,
  apiResponse,
  type CredentialAnswer,
  CredentialedExchange,
  type CredentialedRequest,
  type CredentialSource,
  type JudgedRequest,
  type NeededConsent,
  type ReportOutcome,
} from "../../../src/domain/use/use.js";
import { bearerStrategy, dpopStrategy, type Strategy } from "../../../src/model/credentials/strategy.js";
import { InvalidArgument, PermissionDenied } from "../../../src/model/errors.js";

interface Sent {
  readonly authorization: string;
  readonly proof: string | undefined;
  readonly response: ApiResponse;
}

const ok = apiResponse(200, {});
const refused = apiResponse(401, { "www-authenticate": ['Bearer error="invalid_token"'] });
const nonceWanted = (nonce: string): ApiResponse =>
  apiResponse(401, { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": nonce });
const refresh: ReportOutcome = { kind: "refreshed" };

/** An exchange of which the source gives the tokens `t1`, `t2`, ... and the API answers as it is told, the last for ever. */
function world(
  responses: readonly ApiResponse[],
  {
    strategy = bearerStrategy as Strategy,
    before = [] as readonly CredentialAnswer[],
    report = async (): Promise<ReportOutcome> => refresh,
    ...request
  } = {} as {
    strategy?: Strategy;
    before?: readonly CredentialAnswer[];
    report?: () => Promise<ReportOutcome>;
  } & Partial<CredentialedRequest<Sent>>,
) {
  const asked: (JudgedRequest & { waits: boolean })[] = [];
  const sent: Sent[] = [];
  const dismissed: Sent[] = [];
  const reported: ApiResponse[] = [];
  const outcomes: ReportOutcome[] = [];
  const answers = [...before];
  let revision = 0n;
  const source: CredentialSource = {
    credential: async (given, { waits }) => {
      asked.push({ ...given, waits });
      const answer = answers.shift();
      if (answer) return answer;
      revision++;
      const credential = { strategy, credentials: { access_token: `t${revision}` }, revision };
      return { kind: "credential", credential };
    },
    proof: async (_, method, url, nonce) => proofFor(method, url, nonce),
    report: async (_, response) => {
      reported.push(response);
      return (await report()) as Exclude<ReportOutcome, { kind: "rejected" }>;
    },
  };
  const exchange = new CredentialedExchange<Sent>({
    source,
    judged: () => ({
      method: "POST",
      url: "https://api.example/a?b=c",
      headers: {},
      body: undefined,
      session: "",
    }),
    send: async (_, put) => {
      const { headers } = await put({ method: "POST", url: "https://api.example/a?b=c", headers: {} });
      const response = responses[Math.min(sent.length, responses.length - 1)] ?? ok;
      const one = { authorization: headers["Authorization"] ?? "", proof: headers["DPoP"], response };
      sent.push(one);
      return one;
    },
    responseOf: ({ response }) => response,
    dismiss: (one) => void dismissed.push(one),
    onReport: (outcome) => void outcomes.push(outcome),
    ...request,
  });
  return { exchange, asked, sent, dismissed, reported, outcomes };
}

/** A JWT in form, that says what it proves. */
function proofFor(method: string, url: string, nonce: string): string {
  return ["proof", Buffer.from(`${method} ${url}`).toString("base64url"), nonce || "none"].join(".");
}

it("sends a request once where the API takes the credential", async () => {
  const { exchange, sent, reported, asked } = world([ok]);
  expect((await exchange.run()).authorization).toBe("Bearer t1");
  expect([sent.length, reported, asked]).toMatchObject([1, [], [{ repeats: false, waits: false }]]);
});

it("goes on with a credential that was taken before", async () => {
  const { exchange, asked } = world([ok]);
  const first = await exchange.credential();
  await exchange.run(first);
  expect(asked).toHaveLength(1);
});

it("reports a refused credential, and sends the request once more with the next one, never a third time", async () => {
  const { exchange, sent, dismissed, reported, asked } = world([refused]);
  expect(await exchange.run()).toBe(sent[1]);
  expect(sent.map(({ authorization }) => authorization)).toEqual(["Bearer t1", "Bearer t2"]);
  expect([dismissed, reported]).toEqual([[sent[0]], [refused]]);
  expect(asked.map(({ repeats }) => repeats)).toEqual([false, true]);
});

it.each<[string, () => Promise<ReportOutcome>, string]>([
  [
    "wants scopes",
    async () => ({ kind: "scopes_missing", missingScopes: ["a"], consent: undefined }),
    "scopes_missing",
  ],
  ["forbids the request", () => Promise.reject(new InvalidArgument([])), "rejected"],
])("answers what the API answered where it %s", async (_, report, kind) => {
  const { exchange, sent, dismissed, outcomes } = world([refused], { report });
  expect(await exchange.run()).toBe(sent[0]);
  expect([sent.length, dismissed, outcomes]).toMatchObject([1, [], [{ kind }]]);
});

it("throws what breaks a report", async () => {
  const { exchange } = world([refused], { report: () => Promise.reject(new Error("broken")) });
  await expect(exchange.run()).rejects.toThrow("broken");
});

it("reports a refused credential also of a request that cannot be sent again", async () => {
  const { exchange, sent, reported } = world([refused], { canRepeat: () => false });
  expect(await exchange.run()).toBe(sent[0]);
  expect([sent.length, reported.length]).toEqual([1, 1]);
});

it("takes no 403 for a refusal that is about the request", async () => {
  const { exchange, reported } = world([apiResponse(403, {})]);
  await exchange.run();
  expect(reported).toEqual([]);
});

const bound = { strategy: dpopStrategy("access_token") };

it("proves the key of a bound token for the URL without its query, and answers the nonce with the same token", async () => {
  const { exchange, sent, reported, dismissed } = world([nonceWanted("n1"), ok], bound);
  await exchange.run();
  const url = "https://api.example/a";
  expect(sent.map(({ proof }) => proof)).toEqual([proofFor("POST", url, ""), proofFor("POST", url, "n1")]);
  expect(sent.map(({ authorization }) => authorization)).toEqual(["DPoP t1", "DPoP t1"]);
  expect([reported, dismissed]).toEqual([[], [sent[0]]]);
});

it("proves the next token with the nonce that the API wanted last", async () => {
  const { exchange, sent } = world([nonceWanted("n1"), refused, ok], bound);
  await exchange.run();
  expect(sent.map(({ authorization, proof }) => [authorization, proof?.split(".")[2]])).toEqual([
    ["DPoP t1", "none"],
    ["DPoP t1", "n1"],
    ["DPoP t2", "n1"],
  ]);
});

it("answers no nonce that an unbound token is asked for", async () => {
  const { exchange, sent, reported } = world([nonceWanted("n1"), ok]);
  await exchange.run();
  expect([sent.length, reported.length]).toEqual([2, 1]);
});

it("shows the body where a rule goes by it, which is asked for once", async () => {
  const body = Buffer.from("all of it");
  const wholeBody = async () => body;
  const { exchange, asked } = world([ok], { before: [{ kind: "body_wanted" }], wholeBody });
  await exchange.run();
  expect(asked.map((one) => one.body)).toEqual([undefined, body]);
  const again = world([ok], { before: [{ kind: "body_wanted" }, { kind: "body_wanted" }], wholeBody });
  await expect(again.exchange.run()).rejects.toThrow("nobody can act");
});

const consent: NeededConsent = {
  ...{ reason: "not_connected", authUrl: "https://op.example/a" },
  ...{ verificationUri: "", userCode: "" },
};

it("waits for a consent whose link was shown", async () => {
  const shown: NeededConsent[] = [];
  const onConsent = (one: NeededConsent) => void shown.push(one);
  const { exchange, asked } = world([ok], { before: [{ kind: "consent", consent }], onConsent });
  await exchange.run();
  expect([shown, asked.map(({ waits }) => waits)]).toEqual([[consent], [false, true]]);
});

it("ends where nobody waits for a consent", async () => {
  const refusal = new PermissionDenied("open the link");
  const onConsent = () => {
    throw refusal;
  };
  const { exchange, sent } = world([ok], { before: [{ kind: "consent", consent }], onConsent });
  await expect(exchange.run()).rejects.toBe(refusal);
  expect(sent).toEqual([]);
});

it("throws what the source refuses", async () => {
  const refusal = new PermissionDenied("no rule allows this");
  const source = { credential: () => Promise.reject(refusal), proof: async () => undefined };
  await expect(world([ok], { source }).exchange.run()).rejects.toBe(refusal);
});
