import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { run } from "./building.js";
import { schemathesis } from "./languages.js";
import type { Results } from "./results.js";
import type { Stage } from "./stage.js";

/** It takes a minute; a machine under load takes longer. */
const maxRunSeconds = 400;
/** One that is deleted by a request is missed by those that come after it. */
const spareProviders = 20;

/**
 * Requests made up from the OpenAPI document, good and bad, one by one and in sequences; every answer is held against the document. What
 * is checked, and what is not and why, stands in `schemathesis/schemathesis.toml`.
 */
export async function playSchemathesis(stage: Stage, seed: string, results: Results): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-schemathesis-"));
  try {
    cpSync(join(import.meta.dirname, "schemathesis"), folder, { recursive: true });
    await results.check(schemathesis.name, "json", async () => {
      const known = await prepare(stage);
      const list = (values: readonly string[]) => values.map((value) => `"${value}"\n`).join("");
      writeFileSync(join(folder, "connections.txt"), list(known.connections));
      writeFileSync(join(folder, "providers.txt"), list(known.providers));
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
            NEXUS_TEST_RETURN_URL: "http://127.0.0.1:3999/back",
          },
        },
        maxRunSeconds,
      );
      const [, cases = "0"] = /(\d+) generated/.exec(output) ?? [];
      const repeat = `npm run test:interop -- --only schemathesis --seed ${seed}`;
      if (code !== 0)
        throw new Error(`ended with ${code}; repeat it with ${repeat}\n${output.slice(-20_000)}`);
      if (Number(cases) < minCases) throw new Error(`made ${cases} requests only:\n${output.slice(-3000)}`);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A run of fewer has looked at nothing: 33 operations bring 2 900. */
const minCases = 2000;

/** @returns ids that requests may name: connections that are active, and profiles that nobody needs */
async function prepare(stage: Stage): Promise<{ connections: string[]; providers: string[] }> {
  const { connections, providers } = stage.place.clients();
  const create = async (name: string) => {
    const { provider } = await providers.createProvider({ provider: { name, authType: AuthType.API_KEY } });
    return provider?.id ?? "";
  };
  const { connectionId, state } = await connections.requestConnection({
    userId: "ada",
    provider: { case: "providerId", value: await create("static") },
  });
  await connections.captureCredential({ state, credentials: { api_key: "an-api-key" } });
  const spare: string[] = [];
  for (let i = 0; i < spareProviders; i++) spare.push(await create(`spare-${i}`));
  return { connections: [stage.first, stage.second, connectionId], providers: spare };
}
