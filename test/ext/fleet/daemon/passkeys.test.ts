import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { browser } from "../../../browser_fixture.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import type { LocalDaemon } from "../../../daemon/daemon_at.js";
import { registered } from "../../../daemon/requests.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { freePort } from "../../../free_port.js";
import { perSuite } from "../../../lifetimes.js";
import { has } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { Phone } from "../../approvals/phone.js";
import { localHubs } from "./local_hubs.js";

const policy = "rules: [{ then: ask, approvers: 2 }]\n";

describe("the pages for passkeys of a fleet, behind one address", () => {
  const front = perSuite(() => TcpProxy.tcp(0));
  const hubs = localHubs(async () => {
    const ports = [await freePort(), await freePort()];
    const path = join(temporaryFolder(), "policy.yaml");
    writeFileSync(path, policy);
    return {
      count: 2,
      own: (index) => ({
        NEXUS_POLICY_FILE: path,
        NEXUS_APPROVALS_LISTEN: `127.0.0.1:${ports[index]}`,
        NEXUS_APPROVALS_URL: `http://localhost:${front.port}`,
      }),
    };
  });
  const chromium = browser();
  let leader: LocalDaemon;
  let follower: LocalDaemon;

  beforeAll(async () => {
    if (!has("postgresql")) return;
    ({ leader, follower } = await hubs.pair());
  });
  /** From here on, browsers come to this hub. */
  const leadTo = ({ environment }: LocalDaemon): void => {
    front.target = Number(environment["NEXUS_APPROVALS_LISTEN"]?.split(":")[1]);
  };

  it("are those of the leader, at whichever hub a browser comes", async () => {
    const { clients } = leader;
    const profile = { name: "acme", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example" };
    const providerId = await registered(clients, profile);
    const asked = { providerId, userId: "ada", credentials: { api_key: "secret" } };
    const connectionId = (await clients.connections.importConnection(asked)).connection?.id ?? "";
    const there = () => follower.clients.connections.getConnection({ connectionId });
    await expect
      .poll(() =>
        there().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);

    const phones = await Promise.all([Phone.made(chromium), Phone.made(chromium)]);
    for (const [index, phone] of phones.entries()) {
      leadTo(index === 0 ? follower : leader);
      await phone.register(
        await follower.clients.approvals.addApprover({ name: ["ada", "grace"][index] ?? "" }),
      );
    }
    const bodySha256 = createHash("sha256").update("").digest();
    const request = { method: "POST", url: "https://api.example/issues", bodySize: 0n, bodySha256 };
    const sent = follower.clients.tokens.getToken({ connectionId, request });
    const waiting = async () => (await follower.clients.approvals.listHeldRequests({})).requests;
    await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(1);
    const url = (await waiting())[0]?.passkeyUrl ?? "";
    expect(new URL(url).port).toBe(String(front.port));
    for (const [index, phone] of phones.entries()) {
      leadTo(index === 0 ? follower : leader);
      await phone.page.goto(url);
      await phone.page.getByRole("button", { name: "Approve with a passkey" }).click();
      const done = index === 0 ? "Approved by you" : "Approved";
      await expect.poll(() => phone.page.locator("h1").textContent()).toBe(done);
    }
    expect((await sent).token?.credentials["api_key"]).toBe("secret");
    const given = await auditEvents(clients, { eventType: "approval.given" });
    expect(given.map(({ principal, via }) => [principal, via])).toEqual([
      ["passkey:ada", [follower.address]],
      ["passkey:grace", []],
    ]);
    const gone = await fetch(url);
    expect(gone.status).toBe(404);
  }, 120_000);

  it("take a denial, and a form of another site is refused there, too", async () => {
    leadTo(follower);
    const { connections } = (await leader.clients.connections.listConnections({})) as {
      readonly connections: readonly { readonly id: string }[];
    };
    const bodySha256 = createHash("sha256").update("").digest();
    const request = { method: "POST", url: "https://api.example/other", bodySize: 0n, bodySha256 };
    const sent = follower.clients.tokens.getToken({ connectionId: connections[0]?.id ?? "", request }).then(
      () => "token",
      ({ rawMessage }: { readonly rawMessage: string }) => rawMessage,
    );
    const waiting = async () => (await leader.clients.approvals.listHeldRequests({})).requests;
    await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(1);
    const url = (await waiting())[0]?.passkeyUrl ?? "";
    const post = (origin: string) =>
      fetch(url, {
        method: "POST",
        headers: { origin },
        body: new URLSearchParams({ answer: "no", reason: "not this one" }),
      });
    expect((await post("https://evil.example")).status).toBe(403);
    expect((await post(new URL(url).origin)).status).toBe(200);
    expect(await sent).toContain("not this one");
  }, 60_000);
});
