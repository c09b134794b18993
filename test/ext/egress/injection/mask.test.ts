import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { Mask } from "../../../../src/ext/egress/injection/mask.js";
import { perTest } from "../../../lifetimes.js";
import { canary, EgressWorld, tokenIn } from "../proxy/egress_world.js";

const secret = 'sk-live/"7f&+9c2b7e01';
const mask = new Mask([secret]);
const hidden = "*".repeat(secret.length);
const inner = (json: string) => json.slice(1, -1);
const inHtml = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
const codeOf = (letter: string) => letter.charCodeAt(0);
const everyLetter = (escaped: (code: number) => string) =>
  [...secret].map((one) => escaped(codeOf(one))).join("");
const inJsonOfGo = (text: string) => inner(JSON.stringify(text)).replaceAll("&", "\\u0026");
function through(...chunks: string[]): string {
  const filter = mask.filter({});
  const changed = chunks.map((chunk) => filter?.change(Buffer.from(chunk)) ?? "");
  return [...changed, filter?.last() ?? ""].join("");
}

describe("an answer that repeats the credential", () => {
  const egress = perTest(() => EgressWorld.start());

  it.each([1, 2] as const)("hides it in headers, trailers and text over HTTP/%i", async (version) => {
    egress.respond = ({ headers }, response) => {
      const echoed = String(headers["x-api-key"]);
      response.writeHead(200, {
        "x-echo": `key=${echoed}`,
        "content-type": "application/json",
        trailer: "x-end",
      });
      response.write(`{"key":"${echoed.slice(0, 9)}`);
      response.addTrailers({ "x-end": echoed });
      response.end(`${echoed.slice(9)}","basic":"${Buffer.from(`ada:${echoed}`).toString("base64")}"}`);
    };
    const answer = await egress.ask("/v1/headers", { version });
    expect(JSON.stringify(answer)).not.toContain(canary);
    expect(answer.headers["x-echo"]).toBe(`key=${"*".repeat(canary.length)}`);
    expect(answer.trailers).toMatchObject({ "x-end": "*".repeat(canary.length) });
    expect(answer.body).toMatch(/^\{"key":"\*+","basic":"[\w+/=]{4,6}\*+[\w+/=]{0,4}"\}$/);
  });

  it("hides it in the query that the API repeats", async () => {
    egress.acquired = [tokenIn({ case: "queryParam", value: { paramName: "key" } }, secret)];
    egress.respond = ({ path }, response) => response.writeHead(404, { location: path }).end(`no ${path}`);
    const { headers, body } = await egress.ask("/v1/a?b=1");
    const shown = /^\/v1\/a\?b=1&key=\*+$/;
    expect([headers["location"], body.slice(3)]).toEqual([
      expect.stringMatching(shown),
      expect.stringMatching(shown),
    ]);
  });

  it("hides it where the API does not change the protocol", async () => {
    egress.api.refusesUpgrades = true;
    const socket = await egress.tls("api.localhost", ["http/1.1"]);
    const head = `host: api.localhost:${egress.port}\r\nconnection: upgrade\r\nupgrade: websocket`;
    socket.write(`GET /v1/headers HTTP/1.1\r\n${head}\r\n\r\n`);
    const got = await text(socket);
    expect(got).toMatch(/^HTTP\/1.1 403[\s\S]*x-echo: \*+\r\n[\s\S]*not for you, \*+$/);
    expect(got).not.toContain(canary);
  });

  it("asks for text that is not compressed, and passes what is", async () => {
    egress.respond = (_, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-type": "text/plain" });
      response.end(Buffer.from([0x1f, 0x8b, 1, 2]));
    };
    await egress.ask("/v1/a", { headers: { "accept-encoding": "gzip, br" } });
    expect(egress.received[0]?.headers).toMatchObject({ "accept-encoding": "identity" });
  });
});

describe("what a mask hides", () => {
  it.each([
    ["as it is", secret],
    ["escaped in JSON", JSON.stringify(secret).slice(1, -1)],
    ["in JSON with escaped slashes", JSON.stringify(secret).slice(1, -1).replaceAll("/", "\\/")],
    ["in a URL", encodeURIComponent(secret)],
    ["in a URL, in small letters", encodeURIComponent(secret).replace(/%../g, (one) => one.toLowerCase())],
    ["in a form", String(new URLSearchParams({ a: secret })).slice(2)],
    ["as Python's urllib writes it", encodeURIComponent(secret).replaceAll("%2F", "/")],
    ["in a URL within a URL", encodeURIComponent(encodeURIComponent(secret))],
    ["with each letter escaped in a URL", everyLetter((code) => `%${code.toString(16)}`)],
    ["in JSON of Go and Ruby", inJsonOfGo(secret)],
    [
      "in a script of Django",
      secret.replaceAll("-", "\\u002D").replaceAll('"', "\\u0022").replaceAll("&", "\\u0026"),
    ],
    ["with each letter escaped in JSON", everyLetter((code) => `\\u00${code.toString(16).toUpperCase()}`)],
    ["in JSON within JSON", inner(JSON.stringify(inner(JSON.stringify(secret))))],
    ["in JSON of Go within JSON", inner(JSON.stringify(inJsonOfGo(secret)))],
    ["in a URL within JSON", inner(JSON.stringify(`/a?b=${encodeURIComponent(secret)}`)).slice(5)],
    ["in HTML", inHtml(secret)],
    ["in HTML within HTML", inHtml(inHtml(secret))],
    ["in JSON within HTML", inHtml(inner(JSON.stringify(secret)))],
    ["in hexadecimal", Buffer.from(secret).toString("hex")],
    ["in hexadecimal, in capitals", Buffer.from(secret).toString("hex").toUpperCase()],
    ["in base64 within a URL", encodeURIComponent(Buffer.from(secret).toString("base64"))],
    ["in base64", Buffer.from(secret).toString("base64")],
  ])("the secret %s, wherever chunks end", (_, form) => {
    const whole = `<${form}><${form}>`;
    for (let at = 1; at < whole.length; at++) {
      const shown = through(whole.slice(0, at), whole.slice(at));
      expect(shown).toHaveLength(whole.length);
      // The first characters may be out before it is known what they begin.
      expect(shown.replaceAll("*", "").length).toBeLessThanOrEqual("<><>".length + 3);
    }
    expect(through(...whole.split(""))).not.toContain(form.slice(4));
  });

  it.each(["utf16le", "utf16be"] as const)("the secret in %s, letter for letter", (encoding) => {
    const text = Buffer.from(`<${secret}>`, "utf16le");
    const bytes = encoding === "utf16le" ? text : text.swap16();
    const filter = mask.filter({ "content-type": "text/plain; charset=utf-16" });
    const out = Buffer.concat([filter?.change(bytes) ?? bytes, filter?.last() ?? Buffer.alloc(0)]);
    const shown = encoding === "utf16le" ? out : Buffer.from(out).swap16();
    expect(shown.toString("utf16le")).toBe(`<${hidden}>`);
  });

  it("passes text that is full of escapes as it is", () => {
    const text = Buffer.from('{\\"a\\":\\"%41&amp;\\u0041+\\\\\\"\\n'.repeat(32_768));
    const filter = mask.filter({});
    const out = filter?.change(Buffer.from(text)) ?? text;
    expect(Buffer.concat([out, filter?.last() ?? Buffer.alloc(0)]).equals(text)).toBe(true);
  });

  it("passes all else as it came, and at once", () => {
    expect(through("s", "k", "-", "not it")).toBe("sk-not it");
    expect(through(secret.slice(0, 7))).toBe(secret.slice(0, 7));
    expect(through(secret.slice(0, -1))).toBe(hidden.slice(1));
    const first = mask.filter({})?.change(Buffer.from("data: yes\n\nevents"));
    expect(String(first)).toBe("data: yes\n\nevents");
  });

  it("is nothing of a body that is no text, or of a secret that stands in every text", () => {
    expect(mask.filter({ "content-type": "application/octet-stream" })).toBeUndefined();
    expect(new Mask(["short"]).filter({})).toBeUndefined();
  });

  it("is the credential itself where a header has a scheme before it", () => {
    const schemed = new Mask([secret, `Bearer ${secret}`]);
    expect(schemed.fields({ "x-echo": [`Bearer ${secret}`, "else"] })).toEqual({
      "x-echo": [`Bearer ${hidden}`, "else"],
    });
  });
});
