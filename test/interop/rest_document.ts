import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { run } from "../suites/building.js";
import { schemathesis } from "../suites/languages.js";
import type { Results } from "../suites/results.js";
import type { Stage } from "../suites/stage.js";

/** It takes a minute; a machine under load takes longer. */
const maxRunSeconds = 400;
/** One that is deleted by a request is missed by those that come after it. */
const spareProviders = 20;
/** Good for one capture each. */
const spareStates = 40;

/**
 * Requests made up from the OpenAPI document, good and bad, one by one and in sequences; every answer is held against the document. What
 * is checked, and what is not and why, stands in `schemathesis/schemathesis.toml`.
 */
export async function playSchemathesis(
  stage: Stage,
  seed: string,
  results: Results,
  tell: (text: string) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-schemathesis-"));
  try {
    cpSync(join(import.meta.dirname, "schemathesis"), folder, { recursive: true });
    await results.check(schemathesis.name, "json", async () => {
      const known = await prepare(stage);
      const list = (values: readonly string[]) => values.map((value) => `"${value}"\n`).join("");
      writeFileSync(join(folder, "connections.txt"), list(known.connections));
      writeFileSync(join(folder, "providers.txt"), list(known.providers));
      writeFileSync(join(folder, "states.txt"), list([known.state]));
      const { code, output } = await run(
        {
          cwd: folder,
          command: [
            ...[...schemathesis.run, "--config-file", "schemathesis.toml", "run"],
            ...[`${stage.place.httpUrl}/openapi.json`, "--seed", seed, "--no-color"],
          ],
          environment: {
            NEXUS_TEST_API_KEY: stage.place.apiKey,
            NEXUS_TEST_HOOKS: join(folder, "hooks.py"),
            NEXUS_TEST_PROVIDERS: "first,static",
            NEXUS_TEST_CHANGED_PROVIDER: known.changed,
            NEXUS_TEST_STATES: known.states.join(","),
            NEXUS_TEST_RETURN_URL: "http://127.0.0.1:3999/back",
          },
        },
        maxRunSeconds,
      );
      const repeat = `npm run test:interop -- --only schemathesis --seed ${seed}`;
      if (code !== 0)
        throw new Error(`ended with ${code}; repeat it with ${repeat}\n${output.slice(-20_000)}`);
      const answers = JSON.parse(readFileSync(join(folder, "answers.json"), "utf8")) as Record<
        string,
        number
      >;
      const requests = Object.values(answers).reduce((sum, count) => sum + count, 0);
      tell(`schemathesis made ${requests} requests`);
      const unreached = (await operations(stage)).filter((operation) => !isDone(operation, answers));
      if (unreached.length > 0) throw new Error(`never answered by a success: ${unreached.join(", ")}`);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Operations without a success, and why. */
const withoutSuccess: Readonly<Record<string, string>> = {
  "POST /v1/confirm-connection":
    "the code goes to the return URL with a person's browser; what is made up confirms nothing",
  "GET /openapi.json": "schemathesis leaves out the operation that it reads the document with",
};

/** Every operation of the document: `GET /v1/token/{id}`. */
async function operations(stage: Stage): Promise<string[]> {
  const { paths } = (await (await fetch(`${stage.place.httpUrl}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, unknown>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** A run that only met refusals has held no body of a success against the document. */
function isDone(operation: string, answers: Readonly<Record<string, number>>): boolean {
  if (operation in withoutSuccess) return true;
  return Object.keys(answers).some((answer) => answer.startsWith(`${operation} 2`));
}

/** What requests may name. */
interface Known {
  /** Active. */
  readonly connections: readonly string[];
  /** Profiles that nobody needs. */
  readonly providers: readonly string[];
  /** A profile that is changed again and again. */
  readonly changed: string;
  /** Of a pending request of a static type, whose form is asked for. */
  readonly state: string;
  /** Of such requests, to be captured. */
  readonly states: readonly string[];
}

async function prepare(stage: Stage): Promise<Known> {
  const { connections, providers } = stage.place.clients();
  const create = async (name: string) => {
    const { provider } = await providers.createProvider({ provider: { name, authType: AuthType.API_KEY } });
    return provider?.id ?? "";
  };
  const id = await create("static");
  const request = (userId = "ada") =>
    connections.requestConnection({ userId, provider: { case: "providerId", value: id } });
  const { connectionId, state } = await request();
  await connections.captureCredential({ state, credentials: { api_key: "an-api-key" } });
  const states: string[] = [];
  for (let i = 0; i < spareStates; i++) states.push((await request(`person-${i}`)).state);
  const spare: string[] = [];
  for (let i = 0; i < spareProviders; i++) spare.push(await create(`spare-${i}`));
  return {
    connections: [stage.first, stage.second, connectionId],
    providers: spare,
    changed: await create("changed"),
    state: (await request()).state,
    states,
  };
}
