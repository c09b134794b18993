import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Fetch, fetchWith } from "../../../clients/typescript/src/fetch.js";
import { StrategySchema } from "../../../clients/typescript/src/gen/nexus/v1/strategy_pb.js";
import { TokenSchema } from "../../../clients/typescript/src/gen/nexus/v1/token_pb.js";
import { Token } from "../../../clients/typescript/src/token.js";

type Kind = MessageInitShape<typeof StrategySchema>["kind"];
const strategyOf = (kind: Kind) => create(StrategySchema, { kind: kind ?? { case: undefined } });
const oauth2 = strategyOf({ case: "oauth2", value: { credentialField: "access_token" } });
const tokenOf = (revision: number, more: MessageInitShape<typeof TokenSchema> = {}): Token =>
  new Token(
    create(TokenSchema, {
      revision: BigInt(revision),
      strategy: oauth2,
      credentials: { access_token: `t${revision}`, key: "k" },
      ...more,
    }),
  );

const boundToken = (): Token =>
  tokenOf(1, {
    tokenType: "DPoP",
    strategy: strategyOf({
      case: "oauth2",
      value: { valuePrefix: "DPoP ", credentialField: "access_token" },
    }),
  });

interface Sent {
  readonly line: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A hook over answers that are given one after the other. */
function hook(answers: readonly Response[], token = tokenOf(1), next: Token | undefined = tokenOf(2)) {
  const sent: Sent[] = [];
  const reports: unknown[][] = [];
  const proved: object[] = [];
  const left = [...answers];
  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init);
    const line = `${request.method} ${request.url}`;
    sent.push({ line, headers: request.headers, body: await request.text() });
    const answer = left.shift();
    if (!answer) throw new Error("one request too many");
    return answer;
  };
  const nextToken = async (refused: Token, ...more: unknown[]) => {
    reports.push([refused.revision, ...more]);
    return next;
  };
  const prove = async (request: object) => {
    proved.push(request);
    return "h.p.s";
  };
  return { sent, reports, proved, call: fetchWith({ fetch, token: async () => token, nextToken, prove }) };
}

const answer = (status: number, headers: Record<string, string> = {}): Response =>
  new Response(null, { status, headers });
const moved = (status: number, location: string): Response => answer(status, { location });
const url = "https://api.example/v1";
const bearers = ({ sent }: { sent: Sent[] }) => sent.map(({ headers }) => headers.get("authorization"));

describe("the fetch wrapper", () => {
  it("retries once with the next token and the same body, never twice", async () => {
    const challenge = { "www-authenticate": 'Bearer error="invalid_token"' };
    const it = hook([answer(401, challenge), answer(401)]);
    expect((await it.call(url, { method: "POST", body: "b" })).status).toBe(401);
    expect(bearers(it)).toEqual(["Bearer t1", "Bearer t2"]);
    expect(it.sent.map(({ body }) => body)).toEqual(["b", "b"]);
    expect(it.reports).toEqual([[1, 401, challenge["www-authenticate"]]]);
  });

  it("puts a proof beside a bound token, and the nonce that the API wants into it, once", async () => {
    const wanted = (nonce: string) =>
      answer(401, { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": nonce });
    const bound = hook([wanted("n-1"), answer(200)], boundToken());
    const init = { method: "POST", body: "b" };
    expect((await bound.call(`${url}?q=1#f`, init)).status).toBe(200);
    expect(bearers(bound)).toEqual(["DPoP t1", "DPoP t1"]);
    expect(bound.sent.map(({ headers }) => headers.get("dpop"))).toEqual(["h.p.s", "h.p.s"]);
    expect(bound.proved).toEqual([
      { method: "POST", url, nonce: "" },
      { method: "POST", url, nonce: "n-1" },
    ]);
    expect(bound.reports).toEqual([]);
    await expect(boundToken().apply({ method: "GET", url, headers: {} })).rejects.toThrow(/CreateProof/);
  });

  it("gives the first answer where there is no next token", async () => {
    const noNext = hook([answer(401)], tokenOf(1), null as unknown as undefined);
    expect((await noNext.call(url)).status).toBe(401);
    expect(noNext.sent).toHaveLength(1);
  });

  it("reports a 403 for scopes alone", async () => {
    const scopes = 'Bearer error="insufficient_scope", scope="write"';
    for (const [header, count] of [
      ["", 0],
      ['Bearer error="invalid_token"', 0],
      [scopes, 1],
      ["Bearer error=insufficient_scope", 1],
    ] as const) {
      const refused = hook([answer(403, { "www-authenticate": header }), answer(200)]);
      await refused.call(url);
      expect([header, refused.reports.length]).toEqual([header, count]);
    }
  });

  it("fails where a person can grant the scopes, and frees the connection", async () => {
    const headers = { "www-authenticate": 'Bearer error="insufficient_scope", scope="write"' };
    const refused = new Response("why", { status: 403, headers });
    const error = new Error("the link");
    const call = fetchWith({
      fetch: async () => refused,
      token: async () => tokenOf(1),
      nextToken: () => Promise.reject(error),
      prove: () => Promise.reject(error),
    });
    await expect(call(url)).rejects.toBe(error);
    expect((await refused.body?.getReader().read())?.done).toBe(true);
  });

  it("does not send a stream twice", async () => {
    const body = new Blob(["streamed"]).stream();
    const streamed = hook([answer(401)]);
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    expect((await streamed.call(url, init)).status).toBe(401);
    expect(streamed.sent.map((each) => each.body)).toEqual(["streamed"]);
    expect(streamed.reports).toHaveLength(1);
  });

  it("signs the whole body of a stream", async () => {
    const strategy = strategyOf({ case: "hmacPayload", value: { headerName: "x-sig", secretField: "key" } });
    const init = (body: NonNullable<RequestInit["body"]>) =>
      ({ method: "POST", body, duplex: "half" }) as RequestInit;
    const signed = hook([answer(200), answer(200)], tokenOf(1, { strategy }));
    await signed.call(url, init("streamed"));
    await signed.call(url, init(new Blob(["streamed"]).stream()));
    const [one, other] = signed.sent.map(({ headers }) => headers.get("x-sig"));
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(other).toBe(one);
  });

  it("takes a Request with its body", async () => {
    const it = hook([answer(401), answer(200)]);
    const request = new Request(url, { method: "PUT", body: "b", headers: { "x-own": "1" } });
    expect((await it.call(request)).status).toBe(200);
    expect(it.sent.map(({ line, body }) => `${line} ${body}`)).toEqual([`PUT ${url} b`, `PUT ${url} b`]);
    expect(it.sent[1]?.headers.get("x-own")).toBe("1");
  });
});

describe("redirects", () => {
  it("carry the credential within the origin", async () => {
    const it = hook([moved(302, "/v2"), answer(200)]);
    await it.call(url);
    expect(it.sent.map(({ line }) => line)).toEqual([`GET ${url}`, "GET https://api.example/v2"]);
    expect(bearers(it)).toEqual(["Bearer t1", "Bearer t1"]);
  });

  it.each([["https://other.example/"], ["http://api.example/v1"], ["https://api.example:8443/"]])(
    "lose it on the way to %s",
    async (location) => {
      const strategy = strategyOf({ case: "header", value: { headerName: "x-key", credentialField: "key" } });
      const away = hook([moved(307, location), answer(200)], tokenOf(1, { strategy }));
      await away.call(url, { headers: { authorization: "Basic own", cookie: "a=b", accept: "text/plain" } });
      const [first, second] = away.sent.map(({ headers }) => headers);
      expect(first?.get("x-key")).toBe("k");
      expect([...(second?.keys() ?? [])].sort()).toEqual(["accept"]);
    },
  );

  it("do not get it back when another origin leads to the API again", async () => {
    const round = hook([moved(302, "https://other.example/"), moved(302, "/round"), answer(200)]);
    const back = hook([moved(302, "https://other.example/"), moved(302, url), answer(200)]);
    await round.call(url);
    await back.call(url);
    expect([bearers(round), bearers(back)]).toEqual([
      ["Bearer t1", null, null],
      ["Bearer t1", null, null],
    ]);
  });

  it.each([401, 403])("report nothing when another origin answers %d", async (status) => {
    const headers = { "www-authenticate": 'Bearer error="insufficient_scope", scope="admin"' };
    const away = hook([moved(302, "https://other.example/"), new Response("", { status, headers })]);
    expect((await away.call(url)).status).toBe(status);
    expect(away.reports).toEqual([]);
  });

  it("lose a key in the query too", async () => {
    const strategy = strategyOf({ case: "queryParam", value: { paramName: "key", credentialField: "key" } });
    const away = hook([moved(302, "https://other.example/"), answer(200)], tokenOf(1, { strategy }));
    await away.call(url);
    expect(away.sent.map(({ line }) => line)).toEqual([`GET ${url}?key=k`, "GET https://other.example/"]);
  });

  it.each([
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [303, "PUT", "GET", ""],
    [307, "POST", "POST", "b"],
    [308, "PUT", "PUT", "b"],
    [302, "PUT", "PUT", "b"],
  ])("a %d of %s is followed by %s", async (status, method, expected, body) => {
    const followed = hook([moved(status, "/next"), answer(200)]);
    await followed.call(url, { method, body: "b", headers: { "content-type": "text/plain" } });
    expect(followed.sent[1]?.line).toBe(`${expected} https://api.example/next`);
    expect(followed.sent[1]?.body).toBe(body);
    expect(followed.sent[1]?.headers.has("content-type")).toBe(body !== "");
  });

  it("obey the caller", async () => {
    expect((await hook([moved(302, "/v2")]).call(url, { redirect: "manual" })).status).toBe(302);
    await expect(hook([moved(302, "/v2")]).call(url, { redirect: "error" })).rejects.toThrow(TypeError);
    const round = hook(Array.from({ length: 30 }, () => moved(302, url)));
    await expect(round.call(url)).rejects.toThrow("more than 20 redirects");
    expect(round.sent).toHaveLength(21);
    await expect(hook([moved(302, "file:///etc/passwd")]).call(url)).rejects.toThrow("another scheme");
  });
});
