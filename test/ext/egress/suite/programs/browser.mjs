// Chromium as docs/egress.md sets it up: `CHROMIUM METHOD URL`. First a page of the API is opened, which then asks for the URL.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [, , program, method, url] = process.argv;
const { executablePath, env } = JSON.parse(program);
const { origin: server, username, password } = new URL(process.env.HTTPS_PROXY);
const home = mkdtempSync(join(process.cwd(), "browser-"));
const database = join(home, ".pki/nssdb");
const certutil = (input, ...args) => execFileSync("certutil", ["-d", `sql:${database}`, ...args], { input });
mkdirSync(database, { recursive: true });
certutil("", "-N", "--empty-password");
const bundle = readFileSync(process.env.SSL_CERT_FILE, "utf8");
// The last certificate is that of the session.
certutil(bundle.slice(bundle.lastIndexOf("-----BEGIN")), "-A", "-a", "-n", "nexusd", "-t", "C,,");

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu"],
  env: { ...process.env, ...env, HOME: home },
  proxy: { server, username, password },
});
try {
  const page = await browser.newPage();
  await page.exposeFunction("put", (text) => void process.stdout.write(text));
  const opened = await page.goto(new URL("/v1/user", url).href);
  if (!(await opened.text()).includes("the API got the key"))
    throw new Error(`the page says ${opened.status()}`);
  await page.evaluate(inPage, [method, url]);
} finally {
  await browser.close();
}

/* global put */
async function inPage([method, url]) {
  if (method === "WS") {
    const socket = new WebSocket(url.replace("https", "wss"));
    socket.onopen = () => socket.send("hello");
    return await new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(put(data));
      socket.onerror = () => reject(new Error("no WebSocket"));
    });
  }
  if (url.endsWith("/events")) {
    const events = new EventSource(url);
    await new Promise((resolve, reject) => {
      events.onmessage = ({ data }) => resolve(put(`data: ${data}\n\n`));
      events.onerror = () => reject(new Error("no EventSource"));
    });
    events.close();
  }
  const body = method === "POST" ? "x".repeat(1024 * 1024) : undefined;
  const answer = await fetch(url, { method, body });
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) await put(text);
  const { nextHopProtocol } = performance.getEntriesByName(answer.url).at(-1);
  await put(nextHopProtocol.replace("h2", "HTTP/2"));
}
