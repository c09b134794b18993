/**
 * `npm run test:drivers [-- --only WORD]`: SDKs of clouds, unmodified, each with the variables that send it to the metadata listener; and
 * clients that grpc-go and grpcio make of the proto of agent-substrate's credential provider, over mutual TLS. It installs them into
 * `~/.cache/nexusd-programs`; what is missing is named, and with `CI=true` a failure.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { goProgram, nodeWith, pythonWith } from "../../../suites/installed_programs.js";
import { Results } from "../../../suites/results.js";
import { MetadataWorld } from "../metadata_world.js";
import { SubstrateWorld } from "../substrate_world.js";

const run = promisify(execFile);
const programs = join(import.meta.dirname, "programs");
const python = (): string => pythonWith("boto3 awscli google-auth requests");

/** @param code of an ES module that prints what it got */
function node(packages: string, name: string, code: string): readonly string[] {
  const file = join(nodeWith(packages), `${name}.mjs`);
  writeFileSync(file, code);
  return [process.execPath, file];
}

interface Sdk {
  readonly name: string;
  readonly of: "AWS" | "Google";
  /** Instead of the whole credential. */
  readonly prints?: RegExp;
  /** @throws Error where it cannot be installed */
  readonly command: () => readonly string[];
}

const sdks: readonly Sdk[] = [
  { name: "boto3", of: "AWS", command: () => [python(), join(programs, "boto.py")] },
  {
    name: "AWS CLI",
    of: "AWS",
    // It shows the end of a key, and where it has it from.
    prints: /\*MPLE +container-role/,
    command: () => [join(dirname(python()), "aws"), "configure", "list"],
  },
  { name: "AWS SDK for Go", of: "AWS", command: () => goProgram(join(programs, "aws.go")) },
  {
    name: "AWS SDK for JavaScript",
    of: "AWS",
    command: () =>
      node(
        "@aws-sdk/credential-providers@3",
        "aws",
        'import { fromNodeProviderChain } from "@aws-sdk/credential-providers";\nconst keys = await fromNodeProviderChain()();\nconsole.log(keys.accessKeyId, keys.secretAccessKey, keys.sessionToken);',
      ),
  },
  { name: "google-auth", of: "Google", command: () => [python(), join(programs, "google_token.py")] },
  { name: "Go's oauth2/google", of: "Google", command: () => goProgram(join(programs, "google.go")) },
  {
    name: "google-auth-library",
    of: "Google",
    command: () =>
      node(
        "google-auth-library@10",
        "google",
        'import { GoogleAuth } from "google-auth-library";\nconsole.log(await new GoogleAuth().getAccessToken());',
      ),
  },
];

/** Clients that stand for the gateway of agent-substrate, which is on grpc-go. */
const gateways: Readonly<Record<string, () => readonly string[]>> = {
  "agent-substrate, by grpc-go": () => goProgram(join(programs, "fetch_secret.go")),
  "agent-substrate, by grpcio": () => [pythonWith("grpcio grpcio-tools"), join(programs, "fetch_secret.py")],
};
/** What the gateway asks in vain: the URI, the actor, its own certificate, and what it gets. */
const refused: Readonly<
  Record<string, readonly [uri: string, actor: string, by: string | undefined, RegExp]>
> = {
  "consent needed": [
    "op/ada/work",
    SubstrateWorld.coder,
    undefined,
    /^FAILED_PRECONDITION the user must connect op\/ada\/work first: http:\/\/localhost:\d+\/auth\/start\?state=\S+$/,
  ],
  "not bound": ["op/ada", SubstrateWorld.unbound, undefined, /^PERMISSION_DENIED /],
  "another user's": ["twilio.password/bob", SubstrateWorld.coder, undefined, /^PERMISSION_DENIED /],
  "another caller": [
    "op/ada",
    SubstrateWorld.coder,
    SubstrateWorld.operator,
    /^PERMISSION_DENIED FetchSecret is for /,
  ],
};

const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const results = new Results();
const chosen = sdks.filter(({ name }) => name.includes(values.only));
const installed = chosen.map((sdk) => {
  try {
    return { ...sdk, argv: sdk.command() };
  } catch (error) {
    results.miss(sdk.name, "current", (error as Error).message, process.env["CI"] === "true");
    return { ...sdk, argv: undefined };
  }
});
const world = await MetadataWorld.make();
try {
  for (const { name, argv, ...sdk } of installed) {
    if (!argv) continue;
    await results.check(name, "current", () => getsCredential(sdk, argv));
    world.world.clock.advance(3_600_000);
    await results.check(name, "an hour later", () => getsCredential(sdk, argv));
  }
} finally {
  await world.close();
}
for (const [name, command] of Object.entries(gateways))
  if (name.includes(values.only)) await checkGateway(name, command);
process.stdout.write(`${results.table(["current", "an hour later", ...Object.keys(refused)])}\n`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${results.passed} passed, ${results.failed} failed, ${results.missing} missing\n`);
process.exitCode = results.failed > 0 || results.passed === 0 ? 1 : 0;

async function getsCredential(
  { of, prints }: Pick<Sdk, "of" | "prints">,
  [program = "", ...args]: readonly string[],
): Promise<void> {
  const variables =
    of === "AWS"
      ? {
          AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${world.address}/ecs/aws/ada`,
          AWS_CONTAINER_AUTHORIZATION_TOKEN: world.key,
        }
      : // Python's looks at the address of the second one whether there is a metadata server.
        { GCE_METADATA_HOST: world.address, GCE_METADATA_IP: world.address };
  const home = dirname(program);
  const env = {
    PATH: process.env["PATH"],
    HOME: join(home, "nobody"),
    AWS_REGION: "eu-west-1",
    ...variables,
  };
  const { stdout } = await run(program, args, { env, timeout: 120_000 });
  const whole = of === "AWS" ? "AKIAEXAMPLE aws-secret aws-session" : await currentToken();
  const isThere = prints?.test(stdout) ?? stdout.trim() === whole;
  if (!isThere) throw new Error(`it printed ${stdout.slice(0, 300)}`);
}

async function currentToken(): Promise<string> {
  const { token } = await world.world.clients.tokens.getToken({ connectionId: world.google });
  return token?.credentials["access_token"] ?? "none";
}

async function checkGateway(gateway: string, command: () => readonly string[]): Promise<void> {
  let argv: readonly string[];
  try {
    argv = command();
  } catch (error) {
    results.miss(gateway, "current", (error as Error).message, process.env["CI"] === "true");
    return;
  }
  const substrate = await SubstrateWorld.make();
  try {
    const fetched = (uri: string, actor: string, caller?: string) =>
      printed([
        ...[...argv, "proto", `localhost:${substrate.port}`],
        ...substrate.files(caller),
        ...[`ate-secret://nexusd/${uri}`, actor],
      ]);
    const checkValue = (column: string) =>
      results.check(gateway, column, async () => {
        const [value, maxAge = ""] = (await fetched("op/ada", SubstrateWorld.coder)).split(" ");
        if (value !== (await substrate.token()) || !(Number(maxAge) > 300 && Number(maxAge) <= 3_600))
          throw new Error(`it got another value, or one for ${maxAge} s`);
      });
    await checkValue("current");
    substrate.world.clock.advance(3_600_000);
    await checkValue("an hour later");
    for (const [column, [uri, actor, caller, expected]] of Object.entries(refused))
      await results.check(gateway, column, async () => {
        const found = await fetched(uri, actor, caller);
        if (!expected.test(found)) throw new Error(`it got ${found.slice(0, 300)}`);
      });
  } finally {
    await substrate.close();
  }
}

async function printed([program = "", ...args]: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, { timeout: 120_000 });
  return stdout.trim();
}
