import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { needs } from "../../needs.js";
import { temporaryFolder } from "../../temporary_folder.js";

const root = join(import.meta.dirname, "../../..");
const file = join(root, "deploy/compose.yaml");
const text = readFileSync(file, "utf8");
/** As the comments say, with the key apart from the store. */
const withKey = text
  .replace(/^ {4}# {3}NEXUS_ENC/m, "      NEXUS_ENC")
  .replace(/^ {4}# secrets/m, "    secrets")
  .replace(/^# secrets:\n# {3}encryption_key:\n# {5}file:/m, "secrets:\n  encryption_key:\n    file:");

function composed(content: string): unknown {
  const copy = join(temporaryFolder(), "compose.yaml");
  writeFileSync(copy, content.replace("build: ..", `build: ${root}`));
  const { status, stdout, stderr } = spawnSync("docker-compose", ["-f", copy, "config"], {
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
  return parse(stdout);
}

describe("deploy/compose.yaml", () => {
  it("is what the tool takes, as it stands and with a key of its own", (context) => {
    needs(context, "docker-compose");
    expect(composed(text)).toMatchObject({
      services: { nexusd: { read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] } },
    });
    expect(withKey).not.toBe(text);
    expect(composed(withKey)).toMatchObject({
      services: { nexusd: { environment: { NEXUS_ENCRYPTION_KEY_FILE: "/run/secrets/encryption_key" } } },
    });
  });

  it("fits the image: its folder of data, its port, its program", () => {
    const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");
    const { services } = parse(text);
    const [volume] = services.nexusd.volumes as string[];
    expect(dockerfile).toContain(`VOLUME ${volume?.split(":")[1]}\n`);
    expect(dockerfile).toContain(`EXPOSE ${services.nexusd.ports[0].split(":").at(-1)}\n`);
    const [, program] = /exec nexusd (\S+ \S+) provider add/.exec(text) ?? [];
    expect(dockerfile).toContain(`ENTRYPOINT ${JSON.stringify(program?.split(" ")).replace(",", ", ")}`);
    expect(join(dirname(file), services.nexusd.build)).toBe(root);
  });
});
