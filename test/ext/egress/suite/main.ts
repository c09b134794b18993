/**
 * `npm run test:egress [-- --only WORD]`: programs that others wrote, each through `nexusd run` to an API that answers nobody without the key; h2spec
 * against the end of TLS; and a scanner for request smuggling. It installs clients into `~/.cache/nexusd-programs`; what is missing is named, and with `CI=true` a failure.
 */
import assert from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { Authority } from "../../../fakes/certificates.js";
import { FakeWebProxy } from "../../../fakes/web_proxy.js";
import { Results } from "../../../suites/results.js";
import { firstEvent, gotKey } from "../daemon/run_api.js";
import { RunWorld } from "../daemon/run_world.js";
import { EgressWorld } from "../proxy/egress_world.js";
import { type EgressClient, egressClients, h2spec, smugglex } from "./clients.js";
import { s3Clients, s3Python } from "./s3_clients.js";
import { S3World } from "./s3_world.js";
import { scan } from "./smuggling.js";

/**
 * Frames behind a request that may be answered by then: h2spec fails a server whose answer is faster than its error. Here each answer is early,
 * a 421, since h2spec asks for the host that it connects to. They are what Node by itself fails when each TLS record waits until it has answered
 * the one before.
 */
const racing = [
  "5: half closed (remote): Sends a DATA frame",
  "6: half closed (remote): Sends a HEADERS frame",
  '2: Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state',
  "3: Sends a DATA frame with invalid pad length",
  "2: Sends a WINDOW_UPDATE frame with a flow control window increment of 0 on a stream",
  "3: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
  "1: Sends a second HEADERS frame without the END_STREAM flag",
  "3: Sends a HEADERS frame that contains a pseudo-header field as trailers",
  '1: Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
  '2: Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
];

const largeBytes = 4 * 1024 * 1024;
const gibibyte = 1024 * 1024 * 1024;
/** Of the process of `nexusd run`, which needs 100 MiB for itself. */
const maxPeakKiB = 300 * 1024;

/** What the API does at a path below its base, and what a program then prints. */
const reads = {
  "credential put in": ["", "the API got the key"],
  "refreshed meanwhile": ["/refreshed", "the API got the key"],
  "401 repaired": ["/repaired", "the API got the key"],
  stream: ["/events", `${firstEvent}\n\n${gotKey}`],
  "downloads 4 MiB": [`/large/${largeBytes}`, `${"x".repeat(largeBytes)}${gotKey}`],
} as const;
const uploads = "uploads 1 MiB";
const columns = [...Object.keys(reads), uploads, "HTTP/2", "WebSocket", "1 GiB", "S3", "conforms"];
const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const results = new Results();

/** Installed before the first row: a build that holds this process would hold the API of another row. */
const waiting = egressClients
  .filter(({ name }) => name.includes(values.only))
  .map((client) => ({ client, command: commandOf(client.name, client.command) }));
/** Two rows at a time: most of a row is the start of programs. */
const company = await FakeWebProxy.start();
const worlds = await Promise.all([RunWorld.start(), RunWorld.start()]);
try {
  await Promise.all(
    worlds.map(async (world) => {
      for (let row = waiting.shift(); row; row = waiting.shift())
        if (row.command) await play(world, row.client, row.command);
    }),
  );
  for (const flag of ["--http1.1", "--http2"])
    if ("1 GiB".includes(values.only)) await transfer(worlds[0], flag);
} finally {
  await Promise.all([...worlds.map((world) => world.close()), company.stop()]);
}
await store();
if ("h2spec".includes(values.only)) await judge();
if ("smugglex".includes(values.only)) await scanForSmuggling();
process.stdout.write(`${results.table(columns)}\n`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${results.passed} passed, ${results.failed} failed, ${results.missing} missing\n`);
process.exitCode = results.failed > 0 || results.passed === 0 ? 1 : 0;

async function play(world: RunWorld, client: EgressClient, command: readonly string[]): Promise<void> {
  const { also = [], speaks, prints, isNamed = false } = client;
  const output = async (method: string, path: string) => {
    // The API of this test is on loopback, which programs would reach without the proxy.
    const api = isNamed ? world.url.replace("api.localhost", "api.corp.test") : world.url;
    const argv = ["env", "-u", "NO_PROXY", "-u", "no_proxy", ...command, method, `${api}${path}`];
    return await world.start(client.flags?.() ?? [], argv, isNamed ? { HTTPS_PROXY: company.url } : {});
  };
  const check = (column: string, method: string, path: string, ...wanted: string[]) =>
    results.check(client.name, column, async () => {
      const { stdout, stderr } = await output(method, path);
      if (wanted.some((text) => !stdout.includes(text)))
        throw new Error(`${stdout.slice(0, 300)} ${stderr.slice(-600)}`);
    });
  if (speaks === "gRPC") await check("stream", "GET", "/events", firstEvent, gotKey);
  else if (prints !== undefined) await check("credential put in", "GET", "", prints);
  else if (speaks === undefined) {
    for (const [column, [path, wanted]] of Object.entries(reads)) await check(column, "GET", path, wanted);
    await check(uploads, "POST", "", `${gotKey} and 1048576 bytes`);
  }
  if (also.includes("HTTP/2")) await check("HTTP/2", "GET", "", gotKey, "HTTP/2");
  if (also.includes("WebSocket")) await check("WebSocket", "WS", "", `${gotKey} and hello`);
}

/** What is stored must be what was uploaded, and what is read, too. */
async function store(): Promise<void> {
  const clients = s3Clients
    .filter(({ name }) => `${name}, S3`.includes(values.only))
    .map((client) => ({ ...client, argv: commandOf(client.name, client.command) }));
  const python = clients.length > 0 ? commandOf("moto", () => [s3Python()]) : undefined;
  if (!python) return;
  const world = await S3World.start(python[0] ?? "");
  for (const { name, argv, also = [] } of clients) {
    if (!argv) continue;
    await results.check(name, "S3", async () => {
      const { small, large } = world.digests;
      const folder = name.replaceAll(" ", "-");
      const printed = await world.run(argv, folder);
      const wanted = { small, ...Object.fromEntries(["whole", "parts", ...also].map((key) => [key, large])) };
      assert.deepStrictEqual(world.stored(folder), wanted);
      assert.ok(printed.includes(large), `read ${printed}`);
    });
  }
  await world.close();
}

/** Through a proxy that may keep little of it. The program is curl, in the process below that of `nexusd run`. */
async function transfer(world: RunWorld, flag: string): Promise<void> {
  const url = `${world.url}/large/${gibibyte}`;
  const curl = `curl -s ${flag} -o /dev/null -w '%{http_code} %{size_download} %{size_upload} '`;
  const upload = `head -c ${gibibyte} /dev/zero | ${curl} -H expect: -T - "$0"`;
  const script = `unset NO_PROXY no_proxy; ${curl} "$0"; ${upload}; sed -n 's/VmHWM://p' /proc/$PPID/status`;
  await results.check(`curl ${flag}`, "1 GiB", async () => {
    const { stdout, stderr } = await world.start([], ["sh", "-c", script, url], {});
    const [down, got, , up, , sent, peakKiB] = stdout.split(/\s+/).map(Number);
    // curl counts the frames of chunks too.
    const ended = [down, up, (got ?? 0) >= gibibyte, (sent ?? 0) >= gibibyte];
    if (ended.join() !== "200,200,true,true") throw new Error(`${stdout} ${stderr.slice(-600)}`);
    process.stdout.write(`curl ${flag}: ${Math.round((peakKiB ?? 0) / 1_024)} MiB of memory at most\n`);
    if (!((peakKiB ?? Number.NaN) < maxPeakKiB)) throw new Error(`${peakKiB} KiB of memory`);
  });
}

function commandOf(name: string, make: () => readonly string[]): readonly string[] | undefined {
  try {
    return make();
  } catch (error) {
    results.miss(
      name,
      "credential put in",
      (error as Error).message.slice(0, 200),
      process.env["CI"] === "true",
    );
    return undefined;
  }
}

/** One row for each method: some have no body as a rule, and then Node frames none by itself. */
async function scanForSmuggling(): Promise<void> {
  const [scanner] = commandOf("smugglex", () => [smugglex()]) ?? [];
  if (scanner === undefined) return;
  const methods = ["POST", "GET", "DELETE"].map((method) =>
    results.check(`smugglex, ${method}`, "conforms", async () => {
      process.stdout.write(`smugglex, ${method}: ${await scan(scanner, method)}\n`);
    }),
  );
  // It mostly waits for answers that must not come.
  await Promise.all(methods);
}

/**
 * h2spec knows no proxy: each of its connections gets a tunnel. Node's own HTTP/2 (nghttp2) fails some of it by itself, as with frames on closed
 * streams: so a bare server of Node is judged beside, and nothing may fail here that does not fail there.
 */
async function judge(): Promise<void> {
  const command = commandOf("h2spec", () => [h2spec()]);
  if (!command) return;
  const egress = await EgressWorld.start();
  const bare = createSecureServer(new Authority().issueServer(), (_, response) => response.end("ok"));
  const relay = createServer(async (near) => {
    near.on("error", () => undefined);
    const far = await egress.tunnel(`api.localhost:${egress.port}`);
    near.pipe(far).pipe(near);
    far.on("error", () => near.destroy());
  });
  const [known, found] = [await failuresOf(command, bare), await failuresOf(command, relay)];
  await results.check("h2spec", "conforms", async () => {
    if (found.total < 100) throw new Error(`only ${found.total} cases were tried`);
    const own = found.failed.filter((title) => ![...known.failed, ...racing].includes(title));
    if (own.length > 0) throw new Error(own.join("\n"));
    process.stdout.write(
      `h2spec: ${found.failed.length} of ${found.total} fail, ${known.failed.length} with Node alone\n`,
    );
  });
  await egress.stop();
}

async function failuresOf([program = ""]: readonly string[], server: Server) {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const flags = [
    "--tls",
    "--insecure",
    "--path",
    "/v1/h2",
    "--timeout",
    "10",
    "--host",
    "127.0.0.1",
    "--port",
  ];
  const output = await text(spawn(program, [...flags, String(port)]).stdout);
  server.close();
  const [, total = "0"] = /(\d+) tests, \d+ passed/.exec(output) ?? [];
  // The summary at the end names each failure once more, below its section.
  const failed = [...output.matchAll(/× (\d+: .*)/g)].map(([, title = ""]) => title.trim());
  return { total: Number(total), failed: [...new Set(failed)] };
}
