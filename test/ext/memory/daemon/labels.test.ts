import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { readPolicy } from "../../../../src/ext/policy/policy_document.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { ListenerWorld } from "../../egress/daemon/listener_world.js";

const policy = `rules:
  - when: '"private" in session.labels && request.method == "POST"'
    then: deny
    because: it read private data
  - when: '"private" in session.labels && request.method == "PUT"'
    then: ask
  - when: request.path.startsWith("/v1/private/")
    then: allow
    label: [private]
  - then: allow
`;
const of = `of ${readPolicy(policy).digest.slice(0, 12)}`;
const file = join(temporaryFolder(), "policy.yaml");
writeFileSync(file, policy);

const world = perSuite(() => ListenerWorld.start({ NEXUS_POLICY_FILE: file }));

const programOf = async (name: string) => {
  const restriction = { userIds: ["ada"] };
  const { key } = await world.daemon.clients.access.createApiKey({ name, role: Role.AGENT, restriction });
  return {
    ask: async (...asked: Parameters<Awaited<ReturnType<typeof world.program>>["ask"]>) =>
      (await world.program("ada", key)).ask(...asked),
  };
};

async function nexusd(...args: string[]) {
  const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.daemon.place.config.dataDir } });
  const code = await run(args, shell);
  return { code, out: shell.out(), err: shell.err() };
}

describe("labels of a session at the egress listener", () => {
  it.each([1, 2] as const)(
    "are set through a tunnel with HTTP/%i, and hold in all others of the agent, after a restart, too",
    async (version) => {
      const agent = `claude-${version}`;
      const [github, slack] = [
        await programOf(`${agent}.github.0a1b2c`),
        await programOf(`${agent}.slack.0a1b2c`),
      ];
      const post = { method: "POST", body: "found" };
      for (const program of [github, slack]) expect((await program.ask("/v1/issues", post)).status).toBe(200);
      expect((await github.ask("/v1/private/plan?token=hidden", { version })).status).toBe(200);
      const before = world.api.received.length;
      const everywhere = async () => {
        for (const program of [github, slack])
          for (const other of [1, 2] as const) {
            const { status, body } = await program.ask("/v1/issues", { ...post, version: other });
            expect([status, body]).toEqual([403, expect.stringContaining("it read private data")]);
          }
      };
      await everywhere();
      expect((await nexusd("sessions")).out).toContain("private (GET api.localhost");
      await world.daemon.restart();
      await everywhere();
      expect(world.api.received.length).toBe(before);
      expect((await (await programOf(`other-${version}`)).ask("/v1/issues", post)).status).toBe(200);
    },
  );

  it("are shown with the request that set them: by policy explain, in the audit log, and to who approves", async () => {
    const program = await programOf("shown");
    await program.ask("/v1/private/plan?token=hidden");
    const setter = `GET api.localhost:${world.api.port}/v1/private/plan`;
    const about = "--principal key:shown --action token.read --resource user:ada,provider:acme".split(" ");
    const asked = ["--request", `POST https://api.localhost:${world.api.port}/v1/issues`];
    const { out } = await nexusd("policy", "explain", ...about, ...asked);
    expect(out).toContain("the request: deny\n> line 2: deny, matches: it read private data\n");
    expect(out).toContain("  line 7: allow, sets private, does not match\n");
    expect(out).toContain(
      `the session has these labels:\n  private: set by ${setter} of key:shown (line 7 ${of})\n`,
    );
    const [event] = await auditEvents(world.daemon.clients, {
      eventType: "session.labeled",
      principal: "key:shown",
    });
    expect(event).toMatchObject({ reason: `private: ${setter}`, rule: `line 7 ${of}`, userId: "ada" });

    const held = program.ask("/v1/issues", { method: "PUT", body: "x" });
    let id = "";
    await expect
      .poll(async () => {
        const list = (await nexusd("approvals", "list", "--json")).out;
        id = list === "" ? "" : (JSON.parse(list) as { id: string }).id;
        return id;
      })
      .not.toBe("");
    const approved = await nexusd("approvals", "approve", id, "--yes");
    expect(approved.err).toContain(`private, since ${setter} (line 7 ${of})`);
    expect((await held).status).toBe(200);
    expect(JSON.stringify([out, event, approved.err].map(String))).not.toContain("hidden");
  });
});
