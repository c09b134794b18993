import { once } from "node:events";
import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from "node:http";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type {
  BrowserBinding,
  CaptureFlow,
  CaptureForm,
  CaptureFormOutcome,
  CaptureSchemaOutcome,
  ConsentFailure,
  ConsentFlow,
  FinishOutcome,
  StartOutcome,
  SubmitOutcome,
} from "../../../src/domain/consent/consent.js";
import { BrowserPages, consentListener } from "../../../src/server/pages/browser_pages.js";
import { describeBy } from "../../../src/server/pages/page_words.js";
import { loopback, opened, portOf } from "../temporary.js";

/** Failures that say no more than their kind. */
type SimpleFailure = Exclude<ConsentFailure["kind"], "refused">;

class FakeFlow implements ConsentFlow {
  readonly calls: string[] = [];
  readonly paths: string[] = [];
  startOutcome: StartOutcome | Error = {
    kind: "redirect",
    location: "https://provider.example/authorize?client_id=c&state=s",
    binding: { name: "b1", value: "v-1_2", maxAgeSeconds: 600 },
  };
  finishOutcome: FinishOutcome | Error = {
    kind: "return",
    location: "https://app.example/back?status=success",
  };

  /** Whether the last one who asked had agreed. */
  hasAgreed: boolean | undefined;

  async start(state: string, agreed: (binding: BrowserBinding) => boolean): Promise<StartOutcome> {
    this.calls.push(`start ${state}`);
    if (this.startOutcome instanceof Error) throw this.startOutcome;
    if ("binding" in this.startOutcome) this.hasAgreed = agreed(this.startOutcome.binding);
    return this.startOutcome;
  }

  async decline(
    state: string,
    formToken: string,
    cookie: (name: string) => string | undefined,
  ): Promise<FinishOutcome> {
    this.calls.push(`decline ${state} ${formToken} ${cookie("b1") ?? "none"}`);
    return { kind: "declined", providerName: "github", template: "github" };
  }

  async finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    _from: unknown,
    path: string,
  ): Promise<FinishOutcome> {
    this.paths.push(path);
    this.calls.push(`finish ${query.toString()} ${cookie("b1") ?? "none"}`);
    if (this.finishOutcome instanceof Error) throw this.finishOutcome;
    return this.finishOutcome;
  }
}

const form: CaptureForm = {
  providerName: "acme",
  title: "",
  description: "",
  fields: [],
  violations: [],
  formToken: "token",
  returnUrl: "https://app.example/back",
};

class FakeCapture implements CaptureFlow {
  readonly calls: string[] = [];
  formOutcome: CaptureFormOutcome = { kind: "form", form };
  submitOutcome: SubmitOutcome = { kind: "return", location: "https://app.example/back?status=success" };

  async form(state: string, cookie: (name: string) => string | undefined): Promise<CaptureFormOutcome> {
    this.calls.push(`form ${state} ${cookie("b1") ?? "none"}`);
    return this.formOutcome;
  }

  schema(state: string): CaptureSchemaOutcome {
    this.calls.push(`schema ${state}`);
    if (this.formOutcome.kind !== "form") return this.formOutcome;
    return { kind: "schema", providerName: form.providerName, schema: {} };
  }

  async submit(
    state: string,
    values: URLSearchParams,
    formToken: string,
    cookie: (name: string) => string | undefined,
  ): Promise<SubmitOutcome> {
    this.calls.push(`submit ${state} ${values} ${formToken} ${cookie("b1") ?? "none"}`);
    return this.submitOutcome;
  }
}

interface Reply {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function openListener(publicUrl = "http://localhost:8080") {
  const flow = new FakeFlow();
  const capture = new FakeCapture();
  const unexpected: unknown[][] = [];
  const listener = await opened(
    consentListener({
      listen: loopback,
      setting: "NEXUS_BROWSER_LISTEN",
      publicUrl: new URL(publicUrl),
      pages: new BrowserPages({
        publicUrl: new URL(publicUrl),
        flow,
        capture,
        followLink: async (code) => ({
          kind: code === "good" ? "consent" : "expired",
          authUrl: "/auth/start",
        }),
        describe: describeBy((name) =>
          name === "github"
            ? { displayName: "GitHub", docsUrl: "", scopeWords: { repo: "Change <repositories>" } }
            : undefined,
        ),
        nowMs: () => Date.UTC(2026, 10, 27, 10, 31, 5),
      }),
      onUnexpected: (...report) => void unexpected.push(report),
    }),
  );
  const port = portOf(listener);
  const send = async (
    method: string,
    path: string,
    headers: OutgoingHttpHeaders = {},
    sent = "",
  ): Promise<Reply> => {
    const host = new URL(publicUrl).host;
    const request = httpRequest({
      host: "127.0.0.1",
      port,
      method,
      path,
      agent: false,
      headers: { host, ...headers },
    });
    request.end(sent);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() };
  };
  return { flow, capture, unexpected, listener, port, send };
}

const start = "/auth/start?state=s1";
const callback = "/auth/callback/p?code=c&state=s1&iss=https%3A%2F%2Fp";

describe("a consent", () => {
  test("begins with a cookie and a 302 to the provider", async () => {
    const { send, flow } = await openListener();
    const { status, headers } = await send("GET", start);
    expect(status).toBe(302);
    expect(headers.location).toBe("https://provider.example/authorize?client_id=c&state=s");
    expect(headers["set-cookie"]).toEqual(["nexus-b1=v-1_2; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"]);
    expect(flow.calls).toEqual(["start s1"]);
  });

  test("has a cookie that only https can set when the public URL is https", async () => {
    const { send } = await openListener("https://nexus.example");
    const { headers } = await send("GET", start);
    expect(headers["set-cookie"]).toEqual([
      "__Host-nexus-b1=v-1_2; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure",
    ]);
    const back = await send("GET", callback, { cookie: "nexus-b1=planted; __Host-nexus-b1=v-1_2" });
    expect(back.headers["set-cookie"]).toEqual([
      "__Host-nexus-b1=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
    ]);
  });

  test("ends with a 303 to the application, and the cookie is gone", async () => {
    const { send, flow } = await openListener();
    const { status, headers } = await send("GET", callback, {
      cookie: "x=y; nexus-b1=v-1_2; nexus-b1=second",
    });
    expect(status).toBe(303);
    expect(headers.location).toBe("https://app.example/back?status=success");
    expect(headers["set-cookie"]).toEqual(["nexus-b1=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"]);
    expect(flow.calls).toEqual(["finish code=c&state=s1&iss=https%3A%2F%2Fp v-1_2"]);
  });

  test.each([[{}], [{ cookie: "other=1" }], [{ cookie: "nexus-b1=%zz" }], [{ cookie: "xnexus-b1=v" }]])(
    "finds no cookie in %j, and clears none",
    async (headers) => {
      const { send, flow } = await openListener();
      expect((await send("GET", callback, headers)).headers["set-cookie"]).toBeUndefined();
      expect(flow.calls).toEqual([expect.stringMatching(/ none$/)]);
    },
  );

  test("names the provider as people know it, on the page that is done and where consent was refused", async () => {
    const { send, flow } = await openListener();
    flow.finishOutcome = { kind: "done", providerName: "work", template: "github" };
    const location = (await send("GET", callback)).headers.location ?? "";
    expect((await send("GET", location)).body).toContain("Your account at GitHub (work) is connected.");
    const connectionId = "5f0c1a2e-8d3b-4a76-9c51-0e2f7b6d4c19";
    const expected = { subject: "1", name: "", email: "ada@example.test", login: "", source: "op" };
    const word = "account_changed";
    const refused = { reason: word, word, grant: "not_possible", connectionId, expected } as const;
    flow.finishOutcome = { kind: "refused", providerName: "github", template: "github", ...refused };
    const { body } = await send("GET", callback);
    expect(body).toContain("What you allowed at GitHub cannot be withdrawn");
    expect(body).toContain("It belongs to a\u2026@example.test.");
    expect(body).not.toContain("ada@");
    expect(body).toContain(`Reference: <code>2026-11-27 10:31:05 UTC, connection ${connectionId}</code>`);
  });

  test("says on the page that is done whose it is, who asked, and what they can do now", async () => {
    const { send, flow } = await openListener();
    const account = { subject: "1", name: "", email: "ada@example.test", login: "", source: "op" };
    const asked = { requestedBy: "key:research", userId: "<ada>", scopes: ["repo", "openid", "new:scope"] };
    flow.finishOutcome = { kind: "done", providerName: "github", template: "github", account, ...asked };
    const { body } = await send("GET", (await send("GET", callback)).headers.location ?? "");
    const rows = ["Account|ada@example.test", "Application|research", "For the user|&lt;ada&gt;"];
    for (const [term, value] of rows.map((row) => row.split("|"))) {
      expect(body).toContain(`<dt>${term}</dt><dd><bdi>${value}</bdi></dd>`);
    }
    expect(body).toContain("<li>Change &lt;repositories&gt; <code>repo</code></li>");
    expect(body).toContain("<li>Know who you are <code>openid</code></li>");
    expect(body).toContain("<li><code>new:scope</code></li>");
  });

  const github = { providerName: "github", template: "github" };
  test("says who asks for more, for what, and where the person goes back to, before the provider asks", async () => {
    const { send, flow } = await openListener();
    const scopes = { missing: ["repo", "<b>"], others: ["read:user"] };
    const asker = { requestedBy: "key:research", userId: "ada", returnUrl: "https://app.example/back" };
    flow.startOutcome = {
      kind: "step_up",
      binding: { name: "b1", value: "v", maxAgeSeconds: 600 },
      stepUp: { ...scopes, ...asker, ...github, wantsSignIn: false, formToken: "t" },
    };
    const { status, headers, body } = await send("GET", "/auth/start?state=s");
    expect(status).toBe(200);
    expect(headers["content-security-policy"]).toContain("form-action 'self' https:");
    expect(headers["referrer-policy"]).toBe("same-origin");
    expect(body).toContain('<form method="post" action="/auth/decline?state=s">');
    expect(body).toContain("The application <b><bdi>research</bdi></b> acts with your account at GitHub.");
    expect(body).toContain("<li>Change &lt;repositories&gt; <code>repo</code></li>");
    expect(body).toContain("<li><code>&lt;b&gt;</code></li>");
    expect(body).toContain("<dt>For the user</dt><dd><bdi>ada</bdi></dd>");
    expect(body).toContain("Continue to GitHub");
    expect(body).toContain('id="to-provider" href="/auth/continue?state=s"');
    expect(body).toContain("You go back to <b><bdi>app.example</bdi></b> afterwards.");
    expect(body).not.toContain("sign in anew");
  });

  test.each([
    [[], "<title>Sign in again?", "because you signed in too long ago for what it does, or in another way"],
    [["repo"], "<title>Allow more access?", "You must also sign in anew, or in another way."],
  ])("says that the API wants another sign-in, with the scopes %j", async (missing, title, sentence) => {
    const { send, flow } = await openListener();
    const binding = { name: "b1", value: "v", maxAgeSeconds: 600 };
    const stepUp = { missing, others: ["read:user"], ...github, returnUrl: undefined, formToken: "t" };
    flow.startOutcome = { kind: "step_up", binding, stepUp: { ...stepUp, wantsSignIn: true } };
    const { body } = await send("GET", "/auth/start?state=s");
    expect(body).toContain(title);
    expect(body.replace(/\s+/g, " ")).toContain(sentence);
  });

  const declined = { cookie: "nexus-b1=v-1_2", "content-type": "application/x-www-form-urlencoded" };
  test("takes a no to a step-up, says that nothing was changed, and the cookie is gone", async () => {
    const { send, flow } = await openListener();
    const reply = await send("POST", "/auth/decline?state=s1", declined, "nexus-csrf=t");
    expect(flow.calls).toEqual(["decline s1 t v-1_2"]);
    expect(reply).toMatchObject({
      status: 200,
      headers: { "set-cookie": [expect.stringMatching(/^nexus-b1=;/)] },
    });
    expect(reply.body).toContain("Your account at GitHub stays connected");
  });

  test.each([
    [400, { "sec-fetch-site": "cross-site" }],
    [400, { origin: "https://evil.example" }],
    [415, { "content-type": "text/plain" }],
  ])("answers %i to a no that another page sent: %j", async (status, headers) => {
    const { send, flow } = await openListener();
    const reply = await send("POST", "/auth/decline?state=s1", { ...declined, ...headers }, "nexus-csrf=t");
    expect(reply.status).toBe(status);
    expect((await send("GET", "/auth/decline?state=s1", declined)).status).toBe(404);
    expect(flow.calls).toEqual([]);
  });

  const shown = { cookie: "nexus-b1=v-1_2" };
  test.each([
    ["on the link itself", "/auth/start", shown, false],
    ["by the button of the page", "/auth/continue", { ...shown, "sec-fetch-site": "same-origin" }, true],
    ["by the button, in a browser that does not say where it was", "/auth/continue", shown, true],
    ["without the cookie of the page", "/auth/continue", {}, false],
    ["with the cookie of another request", "/auth/continue", { cookie: "nexus-b1=other" }, false],
    ["by a link of another site", "/auth/continue", { ...shown, "sec-fetch-site": "cross-site" }, false],
    ["by an address that somebody typed", "/auth/continue", { ...shown, "sec-fetch-site": "none" }, false],
    ["by a program, which has no page to show", "/auth/start", { accept: "application/json" }, true],
  ])("whoever comes %s has agreed to a step-up, or not", async (_, path, headers, hasAgreed) => {
    const { send, flow } = await openListener();
    expect((await send("GET", `${path}?state=s`, headers)).status).toBe(302);
    expect(flow.hasAgreed).toBe(hasAgreed);
  });

  test("ends with a page that says it is done when no application waits", async () => {
    const { send, flow } = await openListener();
    flow.finishOutcome = { kind: "done", providerName: `<b>"Git&Hub'` };
    const answer = await send("GET", callback, { cookie: "nexus-b1=v" });
    expect(answer.status).toBe(303);
    expect(answer.headers["set-cookie"]).toHaveLength(1);
    const location = answer.headers.location ?? "";
    expect(location).toMatch(/^\/auth\/done\?visit=[\w-]{22}$/);
    const { status, headers, body } = await send("GET", location);
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(body).toContain("<title>Connected</title>");
    expect(body).toContain("&lt;b&gt;&quot;Git&amp;Hub&#39;");
    expect(body).toContain("You can close this window.");
    expect(body).not.toMatch(/<b>|<script/);
    const others = ["/auth/done", "/auth/done?provider=your%20bank", location.replace("visit=", "visit=x")];
    for (const other of others) {
      const page = await send("GET", other);
      expect(page.body).toContain("Your account is connected.");
    }
  });

  test.each([
    ["/auth/callback", 303],
    ["/auth/callback/github", 303],
    ["/auth/callback/git-hub-2", 303],
    ["/auth/callback/", 404],
    ["/auth/callback/a/b", 404],
    ["/auth/callback/A", 404],
    ["/auth/callback/%61", 404],
    ["/auth/callback/..", 404],
    ["/auth/callbackx", 404],
  ])("comes back to %s with %i, and the flow is told where", async (path, status) => {
    const { send, flow } = await openListener();
    expect((await send("GET", `${path}?state=s1&code=c`)).status).toBe(status);
    expect(flow.paths).toEqual(status === 303 ? [path] : []);
  });

  test("keeps the path prefix of the public URL", async () => {
    const { send, flow } = await openListener("http://localhost:8080/nexus/");
    flow.finishOutcome = { kind: "done", providerName: "op" };
    expect((await send("GET", callback)).headers.location).toMatch(/^\/nexus\/auth\/done\?/);
    flow.finishOutcome = { kind: "return", location: "https://app.example/auth/x" };
    expect((await send("GET", callback)).headers.location).toBe("https://app.example/auth/x");
    flow.startOutcome = { kind: "capture", binding: { name: "b1", value: "v", maxAgeSeconds: 600 } };
    expect((await send("GET", start)).headers.location).toBe("/nexus/auth/capture?state=s1");
    const { body } = await send("GET", "/auth/capture?state=s1");
    expect(body).toContain('href="/nexus/style.css"');
    expect(body).toContain('action="/nexus/auth/capture?state=s1"');
  });

  test("does not say that nothing is connected to somebody who opens a link twice", async () => {
    const { send, flow } = await openListener();
    flow.startOutcome = { kind: "unknown_request" };
    expect((await send("GET", start)).body).toContain('<h1 dir="auto">This link cannot be used</h1>');
    flow.startOutcome = { kind: "provider_unreachable" };
    expect((await send("GET", start)).body).toContain('<h1 dir="auto">Not connected</h1>');
  });

  test.each<[kind: SimpleFailure, status: number, sentence: string]>([
    [
      "unknown_request",
      404,
      "This link was used already, was replaced by a newer one, or is not one of ours.",
    ],
    ["expired", 410, "This link has expired"],
    ["provider_changed", 410, "The provider was changed or deleted after this link was made."],
    ["provider_unreachable", 503, "The provider cannot be reached at the moment."],
    ["provider_misconfigured", 502, "The provider is not what its registration here says."],
    ["denied_without_state", 400, "You or the provider declined."],
    [
      "answer_without_state",
      400,
      "The provider sent you back and did not say to which link its answer belongs.",
    ],
    ["foreign_answer", 400, "This answer is not from the provider that you were sent to."],
    ["foreign_form", 400, "This form belongs to another browser window, or your browser keeps no cookies."],
  ])(
    "that ends as %s is answered with %i, and says what happened and what to do",
    async (kind, status, sentence) => {
      const { send, flow, capture } = await openListener();
      flow.startOutcome = { kind };
      flow.finishOutcome = { kind };
      capture.formOutcome = { kind };
      for (const path of [start, callback, "/auth/capture?state=s1"]) {
        const reply = await send("GET", path);
        expect(reply.status).toBe(status);
        expect(reply.body).toContain(sentence);
        expect(reply.body).toContain(`<code>${kind}</code>`);
        const problem = await send("GET", path, { accept: "application/json" });
        expect(problem.status).toBe(status);
        expect(problem.headers["content-type"]).toBe("application/json");
        expect(JSON.parse(problem.body)).toMatchObject({ error: kind, code: kind });
      }
    },
  );

  test("that is refused shows the reason, what the provider calls it, and what its operator must know, escaped", async () => {
    const { send, flow } = await openListener();
    flow.finishOutcome = {
      kind: "refused",
      reason: "client_rejected",
      word: "invalid_client",
      providerName: "op",
      detail: "use <this>",
      grant: "not_possible",
    };
    const { status, body } = await send("GET", callback);
    expect(status).toBe(502);
    expect(body).toContain("<h2>For the people who run it</h2><p>use &lt;this&gt;</p>");
    expect(body).toContain("<code>client_rejected (invalid_client)</code>");
    expect(body).toContain("What you allowed at op cannot be withdrawn from here");
    expect(body).not.toContain("Nothing was changed");
  });

  test("that is refused for a reason whose details may name a private address does not show them", async () => {
    const { send, flow } = await openListener();
    flow.finishOutcome = {
      kind: "refused",
      reason: "misconfigured",
      word: "misconfigured",
      providerName: "op",
      detail: "op.example has the address 10.0.0.7",
    };
    expect((await send("GET", callback)).body).not.toContain("10.0.0.7");
  });
});

describe("nothing acts but a GET of the page itself", () => {
  test.each([
    ["HEAD", start, {}, 200],
    ["HEAD", callback, {}, 200],
    ["POST", start, {}, 405],
    ["POST", callback, {}, 405],
    ["PUT", "/", {}, 405],
    ["DELETE", "/nowhere", {}, 405],
    ["OPTIONS", start, {}, 405],
    ["TRACE", start, {}, 405],
    ["GET", start, { "sec-purpose": "prefetch" }, 503],
    ["GET", callback, { "sec-purpose": "prefetch;prerender" }, 503],
    ["GET", callback, { purpose: "prefetch" }, 503],
    ["GET", callback, { "x-moz": "prefetch" }, 503],
    ["GET", callback, { "x-purpose": "preview" }, 503],
    ["GET", start, { "sec-fetch-dest": "image" }, 400],
    ["GET", callback, { "sec-fetch-dest": "iframe" }, 400],
    ["GET", "/auth/start", {}, 400],
    ["GET", "/auth/start?state=", {}, 400],
    ["GET", "/auth/start?state=a&state=b", {}, 400],
    ["GET", "/auth/start/", {}, 404],
    ["GET", "//auth/start?state=a", {}, 404],
    ["GET", "/AUTH/START?state=a", {}, 404],
    ["GET", start, { host: "evil.example" }, 421],
    ["GET", start, { host: "localhost:9999" }, 421],
    ["GET", start, { host: "localhost" }, 421],
    ["GET", start, { host: "localhost:8080.evil.example" }, 421],
    ["GET", start, { host: "" }, 421],
  ] as const)("%s %s with %j is %i", async (method, path, headers, status) => {
    const { send, flow, unexpected } = await openListener();
    const reply = await send(method, path, headers);
    expect(reply.status).toBe(status);
    expect(reply.headers.allow).toBe(status === 405 ? "GET, HEAD" : undefined);
    if (method === "HEAD") expect(reply.body).toBe("");
    expect(reply.headers["set-cookie"]).toBeUndefined();
    expect(flow.calls).toEqual([]);
    expect(unexpected).toEqual([]);
  });

  test.each([
    ["http://localhost:8080", "127.0.0.1:8080"],
    ["http://127.0.0.1:8080", "LOCALHOST:8080"],
    ["http://localhost:8080", "[::1]:8080"],
    ["https://nexus.example", "nexus.example"],
    ["https://nexus.example", "Nexus.Example:443"],
    ["http://nexus.example:8080/", "nexus.example:8080"],
  ])("the listener of %s answers to %s", async (publicUrl, host) => {
    const { send } = await openListener(publicUrl);
    expect((await send("GET", start, { host })).status).toBe(302);
  });
});

describe("the capture form", () => {
  const path = "/auth/capture?state=s1";
  const type = "application/x-www-form-urlencoded";
  const cookie = "nexus-b1=v-1_2";

  test("is where a request of a static type leads", async () => {
    const { send, flow } = await openListener();
    flow.startOutcome = { kind: "capture", binding: { name: "b1", value: "v", maxAgeSeconds: 600 } };
    const { status, headers } = await send("GET", start);
    expect(status).toBe(303);
    expect(headers.location).toBe(path);
    expect(headers["set-cookie"]).toEqual(["nexus-b1=v; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"]);
  });

  test("lets forms go to this listener and on to the application, which may send the browser further", async () => {
    const { send, capture } = await openListener();
    const page = await send("GET", path, { cookie });
    expect(page.status).toBe(200);
    expect(page.headers["content-security-policy"]).toBe(
      "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self' https:",
    );
    expect(page.headers["referrer-policy"]).toBe("same-origin");
    expect(page.headers["set-cookie"]).toBeUndefined();
    expect(capture.calls).toEqual(["form s1 v-1_2"]);
  });

  test("ends with a 303 to the application, and the cookie is gone", async () => {
    const { send, capture } = await openListener();
    const reply = await send("POST", path, { cookie, "content-type": type }, "api_key=k%C3%A9y&nexus-csrf=t");
    expect(reply.status).toBe(303);
    expect(reply.headers.location).toBe("https://app.example/back?status=success");
    expect(reply.headers["set-cookie"]).toEqual(["nexus-b1=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"]);
    expect(capture.calls).toEqual(["submit s1 api_key=k%C3%A9y&nexus-csrf=t t v-1_2"]);
  });

  test.each([
    ["invalid", 422, "Not connected yet"],
    ["rejected", 422, "acme did not accept these values."],
    ["not_asked", 503, "acme could not be asked whether these values are right."],
  ] as const)("that is %s is shown again with %i, and the cookie stays", async (error, status, sentence) => {
    const { send, capture } = await openListener();
    capture.submitOutcome = { kind: "form", error, form: { ...form, violations: ["<Wrong>."] } };
    const reply = await send("POST", path, { cookie, "content-type": type }, "a=b");
    expect(reply.status).toBe(status);
    expect(reply.body).toContain(sentence);
    expect(reply.body).toContain("&lt;Wrong&gt;.");
    expect(reply.headers["set-cookie"]).toBeUndefined();
  });

  test.each([
    ["another site", { "sec-fetch-site": "cross-site" }, 400],
    ["a sibling site", { "sec-fetch-site": "same-site" }, 400],
    ["another origin", { origin: "https://evil.example" }, 400],
    ["another port", { origin: "http://localhost:8081" }, 400],
    ["no origin at all", { origin: "null" }, 400],
    ["a form of text", { "content-type": "text/plain" }, 415],
    ["a form in parts", { "content-type": "multipart/form-data; boundary=x" }, 415],
    ["JSON", { "content-type": "application/json" }, 415],
    ["no type", { "content-type": "" }, 415],
    ["another host", { host: "evil.example" }, 421],
  ] as const)("refuses a form of %s", async (_name, headers, status) => {
    const { send, capture } = await openListener();
    const reply = await send("POST", path, { cookie, "content-type": type, ...headers }, "a=b");
    expect(reply.status).toBe(status);
    expect(capture.calls).toEqual([]);
  });

  test.each([
    ["http://localhost:8080", "127.0.0.1:8080", "http://127.0.0.1:8080"],
    ["https://nexus.example", "nexus.example", "https://nexus.example"],
    ["https://nexus.example", "nexus.example:443", "https://nexus.example"],
  ])("of %s knows its own origin", async (publicUrl, host, origin) => {
    const { send } = await openListener(publicUrl);
    const headers = {
      host,
      origin,
      "sec-fetch-site": "same-origin",
      "content-type": `${type};charset=UTF-8`,
    };
    expect((await send("POST", path, headers, "a=b")).status).toBe(303);
    expect((await send("POST", path, { ...headers, origin: "http://nexus.example" }, "a=b")).status).toBe(
      400,
    );
  });

  test.each([
    ["content-length", {}],
    ["chunks", { "transfer-encoding": "chunked" }],
  ])("longer than 128 KiB is not read (%s)", async (_name, headers) => {
    const { send, capture, unexpected } = await openListener();
    const sent = `a=${"x".repeat(200 * 1024)}`;
    expect((await send("POST", path, { "content-type": type, ...headers }, sent)).status).toBe(413);
    expect((await send("POST", path, { "content-type": type }, "a=b")).status).toBe(303);
    expect(capture.calls).toHaveLength(1);
    expect(unexpected).toEqual([]);
  });

  test("a browser that goes away while it sends is no error", async () => {
    const { port, send, capture, unexpected } = await openListener();
    const socket = connect({ host: "127.0.0.1", port });
    const head = `POST ${path} HTTP/1.1\r\nhost: localhost:8080\r\ncontent-type: ${type}\r\ncontent-length: 9\r\n\r\na=`;
    await new Promise((resolve) => socket.write(head, resolve));
    socket.destroy();
    expect((await send("GET", "/")).status).toBe(200);
    expect(capture.calls).toEqual([]);
    expect(unexpected).toEqual([]);
  });

  test.each([
    ["HEAD", path, 200, undefined],
    ["PUT", path, 405, "GET, HEAD, POST"],
    ["DELETE", path, 405, "GET, HEAD, POST"],
    ["GET", "/auth/capture", 400, undefined],
    ["POST", "/auth/capture", 400, undefined],
    ["POST", "/auth/capture?state=a&state=b", 400, undefined],
  ])("%s %s is %i", async (method, target, status, allow) => {
    const { send, capture } = await openListener();
    const reply = await send(method, target, { "content-type": type });
    expect(reply.status).toBe(status);
    expect(reply.headers.allow).toBe(allow);
    expect(capture.calls).toEqual([]);
  });
});

describe("pages", () => {
  test.each([
    ["/", 200, "text/html; charset=utf-8"],
    ["/style.css", 200, "text/css; charset=utf-8"],
    ["/favicon.ico", 204, undefined],
    ["/nowhere", 404, "text/html; charset=utf-8"],
    ["/%zz?%zz", 404, "text/html; charset=utf-8"],
    ["/__proto__", 404, "text/html; charset=utf-8"],
    [start, 302, undefined],
    [callback, 303, undefined],
  ])("%s is %i and guarded", async (path, status, type) => {
    const { send } = await openListener();
    const { status: got, headers } = await send("GET", path);
    expect(got).toBe(status);
    expect(headers["content-type"]).toBe(type);
    expect(headers).toMatchObject({
      "content-security-policy":
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      "referrer-policy": "no-referrer",
      "cache-control": path === "/style.css" ? "max-age=300" : "no-store",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
  });

  test("a HEAD of a page says how long the page is", async () => {
    const { send } = await openListener();
    const [head, get] = [await send("HEAD", "/"), await send("GET", "/")];
    expect(head.headers["content-length"]).toBe(get.headers["content-length"]);
    expect(Buffer.byteLength(get.body)).toBe(Number(get.headers["content-length"]));
  });
});

describe("violations", () => {
  test("an error of the flow is a page that says nothing of it, and is reported without the query", async () => {
    const { send, flow, unexpected } = await openListener();
    flow.startOutcome = new Error("the secret is 4711");
    flow.finishOutcome = new Error("the secret is 4711");
    for (const path of [start, callback]) {
      const reply = await send("GET", path);
      expect(reply.status).toBe(500);
      expect(reply.body).not.toContain("4711");
      expect(reply.headers["x-frame-options"]).toBe("DENY");
    }
    expect(unexpected.map(([, where]) => where)).toEqual(["/auth/start", "/auth/callback/p"]);
  });

  test("a location that no header may hold is one of them", async () => {
    const { send, flow, unexpected } = await openListener();
    flow.finishOutcome = { kind: "return", location: "https://app.example/\r\nset-cookie: a=b" };
    const reply = await send("GET", callback);
    expect(reply.status).toBe(500);
    expect(reply.headers["set-cookie"]).toBeUndefined();
    expect(unexpected).toHaveLength(1);
  });

  test.each([
    ["GET http://localhost:8080/ HTTP/1.1\r\nhost: localhost:8080\r\n\r\n", 400],
    ["GET * HTTP/1.1\r\nhost: localhost:8080\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 421],
    ["GET /\x00 HTTP/1.1\r\nhost: localhost:8080\r\n\r\n", 400],
    ["rubbish\r\n\r\n", 400],
    [`GET / HTTP/1.1\r\nhost: localhost:8080\r\nx: ${"y".repeat(17_000)}\r\n\r\n`, 431],
  ])("%j is answered and ends nothing", async (bytes, status) => {
    const { port, send, unexpected } = await openListener();
    const socket = connect({ host: "127.0.0.1", port });
    onTestFinished(() => void socket.destroy());
    socket.write(bytes, "latin1");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect((await send("GET", "/")).status).toBe(200);
    expect(unexpected).toEqual([]);
  });
});
