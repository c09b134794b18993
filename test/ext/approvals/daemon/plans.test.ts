import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
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
    const rules = `rules:
  - { when: request.path.startsWith("/admin/"), then: deny, because: never }
  - { then: ask }
`;
    writeFileSync(file, rules);
    const daemon = await TestDaemon.start({ NEXUS_POLICY_FILE: file });
    const { providers, connections } = daemon.clients;
    const provider = { name: "acme", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example" };
    const { provider: made } = await providers.createProvider({ provider });
    const credentials = { api_key: "secret-of-acme" };
    const imported = await connections.importConnection({
      ...{ providerId: made?.id ?? "", userId: "ada", credentials },
    });
    return new World(daemon, imported.connection?.id ?? "");
  }

  stop(): Promise<void> {
    return this.daemon.close();
  }

  /** What becomes of a request; "asks" where a person is asked, who denies it. */
  async send(path: string, fields: object): Promise<string> {
    const { approvals, tokens } = this.daemon.clients;
    const body = Buffer.from(JSON.stringify(fields));
    const bodySha256 = createHash("sha256").update(body).digest();
    const shown = { bodySize: BigInt(body.length), bodySha256, body, showsHeaders: true };
    const headers = { "content-type": "application/json" };
    const request = { method: "POST", url: `https://api.example${path}`, headers, ...shown };
    const sent = tokens.getToken({ connectionId: this.connectionId, request }).then(
      ({ token }) => token?.credentials["api_key"] ?? "",
      ({ rawMessage }: { readonly rawMessage: string }) => rawMessage,
    );
    let end: string | undefined;
    void sent.then((text) => {
      end = text;
    });
    let isAsked = false;
    await expect
      .poll(async () => {
        const [held] = (await approvals.listHeldRequests({})).requests;
        if (held) {
          isAsked = true;
          await approvals.decideHeldRequest({ id: held.id, digest: new Uint8Array(held.digest) });
        }
        return end !== undefined;
      })
      .toBe(true);
    return isAsked ? "asks" : await sent;
  }

  async command(...args: string[]) {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: this.daemon.place.config.dataDir } });
    const code = await run(["approvals", ...args], shell);
    return { code, out: shell.out(), err: shell.err() };
  }

  file(text: string): string {
    const path = join(temporaryFolder(), "plan.yaml");
    writeFileSync(path, text);
    return path;
  }

  /** The id of a plan that an agent asks for with the command. */
  async asked(text: string): Promise<string> {
    const { out, err } = await this.command(
      "request",
      "--plan",
      this.file(text),
      "--user",
      "ada",
      "--no-wait",
    );
    expect(err).toBe("");
    return /^plan ([0-9a-f]{16}) waits/.exec(out)?.[1] ?? out;
  }
}

const mail = (reason: string, count = 1) => `
reason: "${reason}"
for: 2h
requests:
  - { provider: acme, request: "POST https://api.example/send", body: { to: x@y.example, text: "{text}" }, count: ${count} }
  - { provider: acme, request: "POST https://api.example/admin/{id}" }
`;

describe("a plan of an agent", () => {
  const world = perSuite(() => World.start());
  const good = { to: "x@y.example", text: "hello\n<b>" };

  it("is read and approved once, and covers what it says, but nothing that a rule denies", async () => {
    const id = await world.asked(mail("tell \u202eada", 2));
    expect(await world.send("/send", good)).toBe("asks");
    const listed = await world.command("list");
    expect(listed.out).toMatch(
      new RegExp(`^ID .*\\n${id} +owner +acme +plan: POST https://api.example/send and 1 more`),
    );
    const { out, err, code } = await world.command("approve", id.slice(0, 8), "--yes");
    expect([out, code]).toEqual([`${id} is approved\n`, 0]);
    expect(err).toMatch(/request +POST https:\/\/api\.example\/send\n +at +acme\n +how many +2\n/);
    expect(err).toContain("the agent says:\n  | tell \\u{202e}ada\n");
    expect(await world.send("/send", good)).toBe("secret-of-acme");
    expect(await world.send("/send", { ...good, cc: "eve" })).toBe("asks");
    expect(await world.send("/send", { ...good, to: "eve" })).toBe("asks");
    expect(await world.send("/admin/7", {})).toMatch(/denies this request: never/);
    expect((await world.command("list")).out).toContain("plan in force by owner, 1 sent: POST");
    expect(await world.send("/send", { ...good, text: "again" })).toBe("secret-of-acme");
    expect(await world.send("/send", good)).toBe("asks");
    const used = await auditEvents(world.daemon.clients, { eventType: "plan.used" });
    expect(used).toHaveLength(2);
    expect(used[0]).toMatchObject({
      connectionId: world.connectionId,
      approver: "owner",
      rule: expect.stringMatching(/^line 3/),
    });
    expect((await world.command("deny", id)).out).toBe(`${id} is denied\n`);
    expect((await world.command("list")).err).toBe("no requests are waiting\n");
  });

  it("is denied with a reason, and its agent learns that from the command", async () => {
    const id = await world.asked(mail("delete all"));
    await world.command("deny", id, "--reason", "not today");
    const again = await world.command("request", "--plan", world.file(mail("delete all")), "--user", "ada");
    expect([again.code, again.out]).toEqual([1, `plan ${id} is denied: not today\n`]);
  });

  it("is refused with each error of its file", async () => {
    const text =
      "reason: x\nfor: 2\nrequest: []\nrequests:\n  - { provder: acme, request: post https://x/ }\n";
    const { code, err } = await world.command("request", "--plan", world.file(text), "--user", "ada");
    expect(code).toBe(1);
    expect(err).toMatch(/:2:\d+: for: must be a duration from 1m to 24h/);
    expect(err).toMatch(/:3:1: .*did you mean requests\?/);
    expect(err).toMatch(/:5:\d+: .*did you mean provider\?/);
    const other = await world.command(
      "request",
      "--plan",
      world.file(mail("x").replace("{id}", "{ids}")),
      "--user",
      "ada",
    );
    expect(other.err).toContain("{ids} stands for nothing here: did you mean id?");
    const nobody = await world.command("request", "--plan", world.file(mail("x")), "--user", "nobody");
    expect(nobody.err).toContain("connection not found");
  });
});
