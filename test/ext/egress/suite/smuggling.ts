import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { canary, EgressWorld } from "../proxy/egress_world.js";
import { ProxyClient } from "../proxy/proxy_client.js";
import { RawApi } from "../proxy/raw_api.js";

/** Each of the scanner's checks but those of exploits. `h2-downgrade` speaks HTTP/2, the others HTTP/1.1. */
const checks = "cl-te,te-cl,te-te,h2c,h2,cl-edge,cl-0,0-cl,parser-discrepancy,h2-downgrade";
const path = "/v1/victim";

/** What the scanner says of one check. */
interface Check {
  readonly check_type: string;
  readonly vulnerable: boolean;
  /** What a request in order was answered; `CHECK_FAILED` where there was no answer. */
  readonly normal_status: string;
  readonly diagnostics?: readonly string[];
}

/**
 * A scanner that others wrote looks for requests that hide another one, through the proxy to an API of HTTP/1.1 that keeps every byte, and to one of
 * HTTP/2. Whatever the scanner says, the API may get nothing but requests to `path`, each with one credential in its head and none in its body.
 *
 * @throws Error with what was smuggled
 */
export async function scan(scanner: string, method: string): Promise<string> {
  const raw = await RawApi.start();
  const world = await EgressWorld.start({
    network: "providers",
    roots: raw.ca,
    providers: () => [{ name: "deep", apiBaseUrl: `https://api.localhost:${raw.port}/v1` }],
  });
  try {
    const counts = [
      await scanned(scanner, method, world, raw.port),
      await scanned(scanner, method, world, world.port),
    ];
    await new ProxyClient(world.proxyUrl, world.authority.pem, raw.port).ask(path);
    const heads = raw.requests.map(({ head }) => head);
    const strange = heads.filter(
      (head) => !head.startsWith(`${method} ${path} `) && !head.startsWith(`GET ${path} `),
    );
    const unmarked = heads.filter((head) => head.split(canary).length !== 2);
    const stolen = raw.requests.filter(({ body }) => body.includes(canary)).map(({ body }) => body);
    const beyond = world.received.filter((request) => request.path !== path || request.body.includes(canary));
    const found = [...strange, ...unmarked, ...stolen, ...beyond.map((request) => JSON.stringify(request))];
    if (found.length > 0) throw new Error(`the API got what nobody asked for:\n${found.join("\n")}`);
    if (raw.requests.length < 20 || world.received.length < 20)
      throw new Error("hardly a request reached the API");
    return `${counts.join(" and ")} checks, ${raw.requests.length} and ${world.received.length} requests`;
  } finally {
    await world.stop();
    await raw.stop();
  }
}

/** @returns how many checks were made */
async function scanned(scanner: string, method: string, world: EgressWorld, port: number): Promise<number> {
  // The scanner knows no proxy that asks for a password: each of its connections gets a tunnel.
  const relay = createServer(async (near) => {
    near.on("error", () => undefined);
    const far = await world.tunnel(`api.localhost:${port}`);
    far.on("error", () => near.destroy()).once("close", () => near.destroy());
    near.once("close", () => far.destroy());
    near.pipe(far).pipe(near);
  });
  await once(relay.listen(0, "127.0.0.1"), "listening");
  const { port: at } = relay.address() as AddressInfo;
  const flags = ["--insecure", "--json", "--timeout", "5", "--method", method, "--checks", checks];
  const target = ["--vhost", `api.localhost:${port}`, `https://127.0.0.1:${at}${path}`];
  const output = await text(spawn(scanner, [...flags, ...target]).stdout);
  relay.close();
  const { results } = JSON.parse(output) as { results: readonly { readonly checks: readonly Check[] }[] };
  const made = results.flatMap((result) => result.checks);
  const bad = made.filter((each) => each.vulnerable || !/\b200\b/.test(each.normal_status));
  if (bad.length > 0) throw new Error(bad.map((each) => JSON.stringify(each)).join("\n"));
  if (made.length < checks.split(",").length) throw new Error(`only ${made.length} checks were made`);
  return made.length;
}
