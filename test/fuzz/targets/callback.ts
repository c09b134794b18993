import { connect } from "node:net";
import { ScriptedWorld } from "../../daemon/scripted_world.js";
import { mutateText, type Random } from "../../suites/random.js";
import { count, demand, type Target } from "../target.js";

/** A request to the browser listener. `{state}`, `{code}`, `{cookie}` and `{path}` stand for what belongs to the consent of this case. */
interface Input {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: readonly (readonly [string, string])[];
  /** What is done to the whole request as it goes out; the placeholders are filled in by then. */
  readonly cutAt?: number | undefined;
}

interface Flow {
  readonly state: string;
  readonly path: string;
  readonly cookieName: string;
  readonly cookie: string;
}

const code = "code-fuzz-4f0f1c";
const mark = "mark-5d1e77";
const good = { method: "GET", path: "{path}", query: "state={state}&code={code}" };
const cookie = ["cookie", "{name}={cookie}"] as const;
const foreignParams = ["response", "id_token", "token", "access_token"];

/** The callback of a whole daemon over a socket: a code is redeemed for the right browser, state and path alone. */
export async function callbackTarget(): Promise<Target<Input>> {
  const world = await ScriptedWorld.make({ NEXUS_BROWSER_RATE_LIMIT: "off", NEXUS_RATE_LIMIT: "off" });
  const providerId = await world.register({ name: "fuzzed" });
  const otherId = await world.register({ name: "other" });
  const tally = new Map<string, number>();
  const port = Number(new URL(world.place.config.publicUrl).port);

  const begin = async (id: string): Promise<Flow> => {
    const { connections } = world.clients;
    const { authUrl, state } = await connections.requestConnection({
      userId: "ada",
      provider: { case: "providerId", value: id },
      returnUrl: "http://127.0.0.1:3999/back",
    });
    const started = await fetch(authUrl, { redirect: "manual" });
    const [name = "", value = ""] = (started.headers.getSetCookie()[0] ?? "").split(";")[0]?.split("=") ?? [];
    const redirectUri = new URL(started.headers.get("location") ?? "").searchParams.get("redirect_uri") ?? "";
    return { state, path: new URL(redirectUri).pathname, cookieName: name, cookie: value };
  };
  const other = await begin(otherId);

  const judge = async (input: Input): Promise<void> => {
    const flow = await begin(providerId);
    const fill = (text: string): string =>
      text
        .replaceAll("{state}", flow.state)
        .replaceAll("{code}", code)
        .replaceAll("{path}", flow.path)
        .replaceAll("{name}", flow.cookieName)
        .replaceAll("{cookie}", flow.cookie)
        .replaceAll("{other_path}", other.path)
        .replaceAll("{other_name}", other.cookieName)
        .replaceAll("{other_cookie}", other.cookie)
        .replaceAll("{other_state}", "another-state");
    const target = `${fill(input.path)}${input.query === "" ? "" : "?"}${fill(input.query)}`;
    const headers = input.headers.map(([name, value]) => [name, fill(value)] as const);
    const lines = [
      `${input.method} ${target} HTTP/1.1`,
      `Host: localhost:${port}`,
      ...headers.map(([name, value]) => `${name}: ${value}`),
    ];
    const raw = Buffer.from(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`, "utf8");
    const before = world.tokenRequests.length;
    const answer = await send(port, raw.subarray(0, input.cutAt ?? raw.length), input.cutAt !== undefined);
    const redeemed = world.tokenRequests.length - before;
    const isGood = input.cutAt === undefined && isRightAnswer(input.method, target, headers, flow);
    count(tally, redeemed > 0 ? "redeemed" : `answered ${answer.slice(9, 12) || "nothing"}`);
    demand(
      redeemed === (isGood ? 1 : 0),
      isGood ? "the right answer was refused" : "an answer that is not right was redeemed",
    );
    judgeAnswer(answer, input, flow);
  };
  return {
    tally,
    corpus,
    draw,
    judge,
    show: (input) => JSON.stringify(input),
    finish: async () => {
      if (tally.get("redeemed") === undefined && tally.size > 3) throw new Error("no right answer was tried");
    },
    close: () => world.close(),
  };
}

/** By the words of RFC 6749 section 4.1.2 and of the issue: this browser, this state, this path, one code, nothing foreign. */
function isRightAnswer(
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
  flow: Flow,
): boolean {
  const at = target.indexOf("?");
  if (method !== "GET" || at < 0 || target.slice(0, at) !== flow.path) return false;
  // A fragment is no part of a request, and what is no ASCII or a space is no target.
  if (!/^[\x21-\x7e]+$/.test(target)) return false;
  const query = new URLSearchParams(target.slice(at + 1));
  const names = [...query.keys()];
  if (new Set(names).size !== names.length) return false;
  if (query.get("state") !== flow.state || query.get("error")) return false;
  // RFC 6749 appendix A.11: a code is printable ASCII.
  if (!/^[\x20-\x7e]+$/.test(query.get("code") ?? "")) return false;
  if (foreignParams.some((name) => query.get(name))) return false;
  // A purpose that no browser names, as mutation makes them, is none (Fetch Standard, section 2.2.7).
  if (headers.some(([name, value]) => name === "sec-purpose" && /^\s*prefetch\b/i.test(value))) return false;
  if (headers.some(([name]) => /^(sec-fetch-dest|host)$/i.test(name))) return false;
  // RFC 9110 section 8.6: a length is digits, and whoever sends another is not understood.
  if (headers.some(([name, value]) => name === "content-length" && !/^\s*\d+\s*$/.test(value))) return false;
  // RFC 9110 section 5.5: a header with a control character is none.
  if (headers.some(([, value]) => !/^[\t -~\u0080-\u{10ffff}]*$/u.test(value))) return false;
  return headers.some(([name, value]) => name === cookie[0] && holdsCookie(value, flow));
}

/** The first pair of the name counts. */
function holdsCookie(header: string, { cookieName, cookie: value }: Flow): boolean {
  const pair = header.split(";").find((part) => part.trim().startsWith(`${cookieName}=`));
  const given = pair?.trim().slice(cookieName.length + 1) ?? "";
  try {
    return decodeURIComponent(given) === decodeURIComponent(value);
  } catch {
    return false;
  }
}

function judgeAnswer(answer: string, input: Input, flow: Flow): void {
  if (input.cutAt !== undefined && answer === "") return;
  // A prefetch is told to come again, RFC 9110 section 15.6.4.
  const isPrefetch =
    answer.startsWith("HTTP/1.1 503 ") && input.headers.some(([name]) => name === "sec-purpose");
  demand(
    isPrefetch || /^HTTP\/1\.1 [234]\d\d /.test(answer),
    `answered ${JSON.stringify(answer.slice(0, 40))}`,
  );
  const [head = "", body = ""] = [
    answer.slice(0, answer.indexOf("\r\n\r\n")),
    answer.slice(answer.indexOf("\r\n\r\n")),
  ];
  for (const secret of [flow.state, flow.cookie, code, mark]) {
    demand(!body.includes(secret), "the page shows what came with the request");
  }
  const [, location] = /^location: (.*)$/im.exec(head) ?? [];
  const isOurs =
    location === undefined ||
    location.startsWith("http://127.0.0.1:3999/back?") ||
    location.startsWith("http://127.0.0.1:");
  demand(isOurs && !head.includes(mark), "the answer leads elsewhere, or shows what came with the request");
  demand(location === undefined || !location.includes(code), "the code is passed on");
}

/** Everything that is answered until the listener closes the connection. */
async function send(port: number, bytes: Buffer, hangsUp: boolean): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  if (hangsUp) socket.end(bytes);
  else socket.write(bytes);
  await new Promise<void>((resolve, reject) => {
    socket.once("close", () => resolve());
    // A listener may reset whoever sends nonsense.
    socket.once("error", () => resolve());
    socket.setTimeout(10_000, () => reject(new Error("the listener neither answers nor hangs up")));
  });
  return Buffer.concat(chunks).toString("utf8");
}

const variations: readonly Partial<Input>[] = [
  {},
  { headers: [] },
  { headers: [["cookie", "{name}=stolen"]] },
  { headers: [["cookie", "{name}=stolen; {name}={cookie}"]] },
  { headers: [["cookie", "{other_name}={other_cookie}"]] },
  { headers: [["cookie", "{name}={other_cookie}"]] },
  { headers: [["cookie", "x={name}={cookie}"]] },
  { headers: [["cookie", "{name}=%ff"]] },
  { headers: [["cookie", "x\u001d; {name}={cookie}"]] },
  { headers: [cookie, ["sec-purpose", "prefetch"]] },
  { headers: [cookie, ["sec-fetch-dest", "iframe"]] },
  { headers: [cookie, ["host", "evil.example"]] },
  { headers: [cookie, ["content-length", "0"]] },
  { path: "{other_path}" },
  { path: "/auth/callback" },
  { path: "{path}/" },
  { path: "/auth/callback/../callback/fuzzed" },
  { path: "/%61uth/callback/fuzzed" },
  { path: "//evil.example/auth/callback" },
  { query: "state={state}&state={state}&code={code}" },
  { query: "state={other_state}&code={code}" },
  { query: "state=&code={code}" },
  { query: "code={code}" },
  { query: "state={state}" },
  { query: "state={state}&code=" },
  { query: "state={state}&code={code}%00" },
  { query: "state={state}&code={code}%ff" },
  { query: `state={state}&code={code}&code=${mark}` },
  { query: `state={state}&code={code}&error=${mark}` },
  { query: `state={state}&error=${mark}&error_description=${mark}` },
  { query: "state={state}&code={code}&id_token=x" },
  { query: "state={state}&code={code}&access_token=x" },
  { query: "state={state}&response=x.y.z" },
  { query: `state={state}&code={code}&iss=https%3A%2F%2F${mark}.example` },
  { query: `state={state}&code={code}&__proto__=${mark}&toString=1` },
  { query: `state={state}&code={code}&<script>${mark}` },
  { query: `state={state}&code={code}&x=${"a".repeat(9_000)}` },
  { query: `state={state}&code={code}&${"y&".repeat(4_000)}` },
  { query: `state={state}&code=${"c".repeat(6_000)}` },
  { method: "HEAD" },
  { method: "POST" },
  { method: "PUT" },
  { method: "TRACE" },
  { method: "get" },
  { cutAt: 20 },
];

const corpus: readonly Input[] = variations.map((change) => ({ ...good, headers: [cookie], ...change }));

function draw(random: Random): Input {
  const base: Input = { ...good, headers: [cookie], ...random.pick(variations), ...random.pick(variations) };
  if (random.once(10)) return { ...base, cutAt: random.below(400) };
  const clean = (text: string): string => text.replace(/[\r\n]/g, "%0d");
  if (random.once(3)) return base;
  const changed = random.pick(["query", "query", "path", "cookie"] as const);
  if (changed === "cookie") {
    return {
      ...base,
      headers: base.headers.map(([name, value]) => [name, clean(mutateText(random, value))] as const),
    };
  }
  return { ...base, [changed]: clean(mutateText(random, base[changed])) };
}
