/**
 * `npm run test:egress [-- --only WORD]`: programs that others wrote, each through `nexusd run` to an API that answers nobody without the key; and
 * h2spec against the end of TLS. It installs clients into `~/.cache/nexusd-egress`; what is missing is named, and with `CI=true` a failure.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { Authority } from "../../../fakes/certificates.js";
import { Results } from "../../../interop/results.js";
import { largeBytes, RunWorld } from "../daemon/run_world.js";
import { EgressWorld } from "../proxy/egress_world.js";
import { type EgressClient, egressClients, h2spec } from "./clients.js";

/** Frames on a stream whose request has ended: h2spec fails a server whose answer is faster than its error, whichever server of Node it is. */
const racing = [
  "5: half closed (remote): Sends a DATA frame",
  "6: half closed (remote): Sends a HEADERS frame",
  '2: Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state',
  '1: Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
  '2: Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
];

/** What the API does at a path below its base, and what a program then prints. */
const reads = {
  "credential put in": ["", "the API got the key"],
  "refreshed meanwhile": ["/refreshed", "the API got the key"],
  "401 repaired": ["/repaired", "the API got the key"],
  "downloads 4 MiB": ["/large", `${"x".repeat(largeBytes)}the API got the key`],
} as const;
const uploads = "uploads 1 MiB";
const columns = [...Object.keys(reads), uploads, "conforms"];
const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const results = new Results();

const world = await RunWorld.start();
try {
  for (const client of egressClients.filter(({ name }) => name.includes(values.only))) await play(client);
} finally {
  await world.close();
}
if ("h2spec".includes(values.only)) await judge();
process.stdout.write(`${results.table(columns)}\n`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${results.passed} passed, ${results.failed} failed, ${results.missing} missing\n`);
process.exitCode = results.failed > 0 || results.passed === 0 ? 1 : 0;

async function play(client: EgressClient): Promise<void> {
  const command = commandOf(client.name, () => client.command());
  if (!command) return;
  const check = (column: string, method: string, path: string, wanted: string) =>
    results.check(client.name, column, async () => {
      // The API of this test is on loopback, which programs would reach without the proxy.
      const argv = ["env", "-u", "NO_PROXY", "-u", "no_proxy", ...command, method, `${world.url}${path}`];
      const { stdout, stderr } = await world.start(client.flags?.() ?? [], argv, { HOME: world.work });
      if (!stdout.includes(wanted)) throw new Error(`${stdout.slice(0, 300)} ${stderr.slice(-600)}`);
    });
  if (client.prints !== undefined) return await check("credential put in", "GET", "", client.prints);
  for (const [column, [path, wanted]] of Object.entries(reads)) await check(column, "GET", path, wanted);
  await check(uploads, "POST", "", "the key and 1048576 bytes");
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
