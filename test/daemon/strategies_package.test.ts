import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";

const root = join(import.meta.dirname, "../..");

const consumer = `
import { type ApiRequest, applyStrategy, type AuthorizedRequest, StrategyError } from "nexusd/strategies";

const request: ApiRequest<string> = { method: "POST", url: "https://api.example/x", headers: {}, body: "b" };
const answer: AuthorizedRequest<string> = await applyStrategy(
  request,
  { type: "header", config: { header_name: "X-Key" } },
  { api_key: "k" },
);
const body: string | undefined = answer.body;
try {
  await applyStrategy(request, { kind: { case: "queryParam", value: { paramName: "q" } } }, {});
} catch (error) {
  if (!(error instanceof StrategyError)) throw error;
  const code: "missing_credential" | "invalid_credential" | "invalid_strategy" | "invalid_request" = error.code;
  console.log(answer.headers["X-Key"], body, code, error.field);
}
`;

/** The package as another one sees it, in its built form. */
describe("nexusd/strategies", () => {
  let folder: string;
  beforeAll(() => {
    folder = temporaryFolder();
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(root, join(folder, "node_modules", "nexusd"));
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    writeFileSync(join(folder, "consumer.ts"), consumer);
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          target: "es2022",
          lib: ["es2022", "dom"],
          module: "nodenext",
          strict: true,
          types: [],
          outDir: "out",
        },
        files: ["consumer.ts"],
      }),
    );
  });

  it("has types that a consumer can compile against, and runs", () => {
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const compiled = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
    expect(compiled.stdout + compiled.stderr).toBe("");
    const ran = spawnSync(process.execPath, [join(folder, "out/consumer.js")], { encoding: "utf8" });
    expect(ran.stderr).toBe("");
    expect(ran.stdout.trim()).toBe("k b missing_credential api_key");
  });

  it("can be imported by its own name", async () => {
    const script = `import * as library from "nexusd/strategies"; console.log(Object.keys(library).sort().join());`;
    const ran = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: root,
      encoding: "utf8",
    });
    expect(ran.stdout.trim()).toBe("StrategyError,applyStrategy");
  });
});
