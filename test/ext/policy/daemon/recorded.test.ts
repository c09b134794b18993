import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { key, ListenerWorld } from "../../egress/daemon/listener_world.js";

const secret = "canary-9a7d31f0";

describe("a daemon that records requests", () => {
  const folder = temporaryFolder();
  const file = join(folder, "policy.yaml");
  writeFileSync(file, "rules:\n  - then: allow\n");
  const world = perSuite(() =>
    ListenerWorld.start({ NEXUS_RECORD_REQUESTS: "true", NEXUS_POLICY_FILE: file }),
  );

  async function nexusd(...args: string[]) {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.daemon.place.config.dataDir } });
    const code = await run(args, shell);
    return { code, out: shell.out(), err: shell.err() };
  }
  async function programOf(name: string) {
    const restriction = { userIds: ["ada"] };
    const made = await world.daemon.clients.access.createApiKey({ name, role: Role.AGENT, restriction });
    return { key: made.key, program: await world.program("ada", made.key) };
  }

  it("suggests rules that let the same requests through and no others, and replays what it has on other rules", async () => {
    const { key: claudes, program: claude } = await programOf("claude");
    for (const path of ["/v1/items/1", `/v1/items/2?q=${secret}`, "/v1/items", `/v1/tokens/${secret}`])
      expect((await claude.ask(path)).status).toBe(200);
    const posted = { method: "POST", body: secret, headers: { "x-note": secret } };
    expect((await claude.ask("/v1/items", posted)).status).toBe(200);

    const suggested = await nexusd("policy", "suggest", "--since", "24h");
    const host = `api.localhost:${world.api.port}`;
    expect(suggested.code).toBe(0);
    expect(suggested.out).toContain("# Written by nexusd policy suggest: 5 requests, 4 templates.\n");
    expect(suggested.out).toContain(`  # 2: GET ${host}/v1/items/{number}\n`);
    expect(suggested.out).toContain(`  # 1: POST ${host}/v1/items\n`);
    const next = join(folder, "next.yaml");
    writeFileSync(next, suggested.out);
    expect((await nexusd("policy", "check", next)).out).toBe(`${next} is in order: 0 bindings, 2 rules\n`);

    const replayed = await nexusd("policy", "replay", next);
    expect([replayed.code, replayed.out]).toEqual([
      0,
      expect.stringContaining("0 of 4 templates would no longer be allowed\n"),
    ]);
    expect(replayed.out).toMatch(
      /allow +allow +2 +key:claude +acme +GET api\.localhost:\d+\/v1\/items\/\{number\}/,
    );
    const narrow = join(folder, "narrow.yaml");
    writeFileSync(narrow, 'rules:\n  - when: request.method == "GET"\n    then: allow\ndefault: deny\n');
    const lost = await nexusd("policy", "replay", narrow);
    expect([lost.code, lost.out]).toEqual([
      1,
      expect.stringContaining("1 of 4 templates would no longer be allowed\n"),
    ]);
    expect(lost.out).toMatch(/! +allow +deny +1 +key:claude +acme +POST /);
    const { code, out } = await nexusd("policy", "replay", narrow, "--json");
    expect([
      code,
      out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ]).toEqual([
      1,
      expect.arrayContaining([
        expect.objectContaining({
          method: "POST",
          path: "/v1/items",
          count: "1",
          today: "allow",
          with_file: "deny",
        }),
      ]),
    ]);

    // The rules in force: what was seen passes, everything else does not.
    await world.daemon.restart(async () => writeFileSync(file, suggested.out));
    const again = await world.program("ada", claudes);
    expect((await again.ask("/v1/items/77")).status).toBe(200);
    expect((await again.ask("/v1/items", posted)).status).toBe(200);
    for (const [path, asked] of [
      ["/v1/items/77", { method: "DELETE" }],
      ["/v1/items/all", {}],
      ["/v1/other", {}],
    ] as const)
      expect([path, (await again.ask(path, asked)).status]).toEqual([path, 403]);
    expect((await (await programOf("other")).program.ask("/v1/items")).status).toBe(403);

    // What was denied is not recorded, and the counts are from before the restart.
    const { out: later } = await nexusd("policy", "suggest");
    expect(later).toContain(`  # 3: GET ${host}/v1/items/{number}\n`);
    expect(later).not.toMatch(/DELETE|\/other|\/all/);
    await world.daemon.restart();
    const image = world.daemon.image(temporaryFolder());
    const files = readdirSync(image, { recursive: true, withFileTypes: true }).filter((each) =>
      each.isFile(),
    );
    const stored = files
      .map(({ parentPath, name }) => readFileSync(join(parentPath, name), "latin1"))
      .join("");
    for (const text of [suggested.out, replayed.out, later])
      expect(text).not.toMatch(new RegExp(`${secret}|${key}`));
    expect(stored).toContain("/v1/items/{number}");
    expect(stored).not.toContain(secret);
  });

  it("filters by agent and provider, and says when nothing is left", async () => {
    const { code, err } = await nexusd("policy", "suggest", "--principal", "key:nobody");
    expect([code, err]).toEqual([1, expect.stringContaining("no request was recorded")]);
    const replayed = await nexusd("policy", "replay", file, "--provider", "none");
    expect([replayed.code, replayed.out]).toEqual([0, "0 of 0 templates would no longer be allowed\n"]);
  });
});

describe("a daemon without the setting", () => {
  const world = perSuite(() => ListenerWorld.start());

  it("records nothing, and says what to set", async () => {
    const made = await world.daemon.clients.access.createApiKey({
      ...{ name: "claude", role: Role.AGENT, restriction: { userIds: ["ada"] } },
    });
    expect((await (await world.program("ada", made.key)).ask("/v1/items/1")).status).toBe(200);
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.daemon.place.config.dataDir } });
    expect(await run(["policy", "suggest"], shell)).toBe(1);
    expect(shell.err()).toContain("start it with NEXUS_RECORD_REQUESTS=true");
  });
});
