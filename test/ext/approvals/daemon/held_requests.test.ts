import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";

class World {
  constructor(
    readonly daemon: TestDaemon,
    readonly connectionId: string,
  ) {}

  static async start(): Promise<World> {
    const file = join(temporaryFolder(), "policy.yaml");
    writeFileSync(file, "rules: [{ providers: [acme], then: ask, because: look first, for: [hour] }]\n");
    const daemon = await TestDaemon.start({ NEXUS_POLICY_FILE: file });
    const { providers, connections } = daemon.clients;
    const provider = { name: "acme", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example" };
    const { provider: made } = await providers.createProvider({ provider });
    const credentials = { api_key: "secret-of-acme" };
    const imported = await connections.importConnection({
      providerId: made?.id ?? "",
      userId: "ada",
      credentials,
    });
    return new World(daemon, imported.connection?.id ?? "");
  }

  stop(): Promise<void> {
    return this.daemon.close();
  }

  send(signal?: AbortSignal) {
    const body = Buffer.from("title=hello\u202e");
    const bodySha256 = createHash("sha256").update(body).digest();
    const url = "https://api.example/issues?x=1";
    const request = { method: "POST", url, bodySize: BigInt(body.length), bodySha256, body };
    const { connectionId } = this;
    return this.daemon.clients.tokens.getToken({ connectionId, request }, signal ? { signal } : {});
  }

  async command(...args: string[]) {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: this.daemon.place.config.dataDir } });
    const code = await run(["approvals", ...args], shell);
    return { code, out: shell.out(), err: shell.err() };
  }

  async held(): Promise<string> {
    let id = "";
    await expect
      .poll(async () => {
        const { out } = await this.command("list", "--json");
        id = out === "" ? "" : (JSON.parse(out) as { id: string }).id;
        return id;
      })
      .not.toBe("");
    return id;
  }
}

describe("a request under a rule that has a person asked", () => {
  const world = perSuite(() => World.start());

  it("is shown whole to who may decide, gets its token after the yes, and is on record with who said it", async () => {
    const sent = world.send();
    const id = await world.held();
    const { out, err } = await world.command("yes", id, "--yes");
    expect(out).toBe("it is let go\n");
    expect(err).toContain("POST https://api.example/issues?x=1\n");
    expect(err).toContain("title=hello\\u{202e}");
    expect(err).toMatch(/look first/);
    expect((await sent).token?.credentials["api_key"]).toBe("secret-of-acme");
    const [given] = await auditEvents(world.daemon.clients, { eventType: "approval.given" });
    expect(given).toMatchObject({ principal: "owner", connectionId: world.connectionId });
  });

  it("is refused after a no", async () => {
    const sent = world.send();
    const refused = expect(sent).rejects.toThrow("a person refused");
    await world.command("no", await world.held());
    await refused;
  });

  it("is forgotten when its caller leaves", async () => {
    const caller = new AbortController();
    const sent = world.send(caller.signal).catch((error: Error) => error.message);
    const id = await world.held();
    caller.abort();
    await sent;
    await expect.poll(async () => (await world.command("list")).err).toContain("no request waits");
    expect((await world.command("yes", id, "--yes")).err).toContain("waits: nexusd approvals list");
  });

  it("is no business of agents", async () => {
    const restriction = { userIds: ["*"] };
    const made = { name: "agent", role: Role.AGENT, restriction };
    const { key } = await world.daemon.clients.access.createApiKey(made);
    const file = join(temporaryFolder(), "agent.key");
    writeFileSync(file, key, { mode: 0o600 });
    const env = { NEXUS_ADDRESS: world.daemon.place.httpUrl, NEXUS_API_KEY_FILE: file };
    const shell = fakeShell({ env });
    expect(await run(["approvals", "list"], shell)).not.toBe(0);
    expect(shell.err()).toContain("requires approval.decide");
  });
});
