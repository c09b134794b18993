/**
 * `npm run test:conformance [-- --only WORD]`: two suites that nobody here wrote against the daemon's own listener, each over plain
 * text and TLS: `connectconformance` of the Connect project (gRPC, gRPC-Web and Connect over HTTP/2 and HTTP/1.1, what is left out
 * stands in config.yaml with its reason), and the interop client of grpc-go. Without Go nothing can be said: a failure with `CI=true`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ApiListener } from "../../src/server/api/api_listener.js";
import { Authority } from "../fakes/certificates.js";
import { build, run } from "../suites/building.js";
import { root } from "../suites/languages.js";
import { Results } from "../suites/results.js";
import { interopService } from "./interop_service.js";
import { openServer } from "./open_server.js";

const folder = import.meta.dirname;
const programs = join(root, "node_modules/.cache/conformance");
const maxSuiteSeconds = 540;
const maxCaseSeconds = 60;

/** https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md, without those that need Google's credentials or compression. */
const interopCases = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "custom_metadata",
  "special_status_message",
  "unimplemented_method",
  "unimplemented_service",
];

const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const results = new Results();
const suites = { connectconformance: playConformance, "grpc-go interop": playInterop };
const wanted = Object.entries(suites).filter(([name]) => name.includes(values.only));

mkdirSync(programs, { recursive: true });
const tools = {
  name: "the two suites",
  needs: ["go"],
  build: [
    { cwd: join(folder, "tools"), command: ["go", "mod", "download"], downloads: true } as const,
    { cwd: join(folder, "tools"), command: ["env", `GOBIN=${programs}`, "go", "install", "-p", "2", "tool"] },
  ],
  run: [],
};
const built = await build(tools);
if (built === "ok") for (const [, play] of wanted) await play();
else if ("missing" in built)
  results.miss(
    tools.name,
    "build",
    `${built.missing} (apt-get install golang-go)`,
    process.env["CI"] === "true",
  );
else results.fail(tools.name, "build", built.failed);

process.stdout.write(`\n${results.table(["build", "all", "tcp", "tls", "unix"])}\n`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${results.passed} passed, ${results.failed} failed, ${results.missing} missing\n`);
process.exitCode = results.failed > 0 || wanted.length === 0 ? 1 : 0;

async function playConformance(): Promise<void> {
  await results.check("connectconformance", "all", async () => {
    const config = ["--mode", "server", "--conf", join(folder, "config.yaml"), "--max-servers", "2"];
    const server = [process.execPath, "--import", "tsx", join(folder, "server.ts")];
    const command = [join(programs, "connectconformance"), ...config, "--", ...server];
    const { code, output } = await run({ cwd: root, command }, maxSuiteSeconds);
    process.stdout.write(
      `connectconformance: ${/^\d+ passed, \d+ failed/m.exec(output)?.[0] ?? "no result"}\n`,
    );
    if (code !== 0 || !/^[1-9]\d{2,} passed, 0 failed/m.test(output)) throw new Error(output.slice(-8_000));
  });
}

async function playInterop(): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "nexus-conformance-"));
  const authority = new Authority("Interop CA");
  const issued = authority.issueServer();
  const caFile = join(place, "ca.pem");
  writeFileSync(caFile, authority.pem);
  const path = join(place, "interop.sock");
  const loopback = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const tls = {
    ...{ certificate: Buffer.from(issued.cert), key: Buffer.from(issued.key) },
    clientCa: undefined,
  };
  const overTcp = await openServer(interopService, loopback);
  const overTls = await openServer(interopService, loopback, tls);
  const overSocket = await openServer(interopService, { kind: "unix", path });
  const targets: Record<string, string[]> = {
    tcp: ["-server_host=127.0.0.1", `-server_port=${portOf(overTcp)}`],
    tls: [
      ...["-use_tls", "-use_test_ca", `-ca_file=${caFile}`, "-server_host_override=localhost"],
      ...["-server_host=127.0.0.1", `-server_port=${portOf(overTls)}`],
    ],
    unix: [`-server_host=unix:${path}`, "-server_port=0"],
  };
  try {
    for (const name of interopCases)
      for (const [transport, flags] of Object.entries(targets)) await playCase(name, transport, flags);
  } finally {
    await Promise.all([overTcp, overTls, overSocket].map((one) => one.close(AbortSignal.abort())));
    rmSync(place, { recursive: true });
  }
}

async function playCase(name: string, transport: string, flags: readonly string[]): Promise<void> {
  await results.check(`grpc-go ${name}`, transport, async () => {
    const command = [join(programs, "client"), ...flags, `-test_case=${name}`];
    const { code, output } = await run({ cwd: root, command }, maxCaseSeconds);
    if (code !== 0) throw new Error(output.slice(-2_000));
  });
}

function portOf(listener: ApiListener): number {
  const [address] = listener.addresses;
  if (address?.kind !== "tcp") throw new Error("the listener has no port");
  return address.port;
}
