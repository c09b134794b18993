import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { DaemonProcess, DaemonProcesses } from "../../../daemon/daemon_process.js";
import { Place } from "../../../daemon/harness.js";
import { registered, requestOf } from "../../../daemon/requests.js";
import { goodTokens, ScriptedWorld } from "../../../daemon/scripted_world.js";
import { Browser } from "../../../fakes/browser.js";
import { type ReceivedEvent, WebhookReceiver, webhookSecret } from "../../../fakes/webhook_receiver.js";
import { perTest } from "../../../lifetimes.js";
import { json } from "../../../oauth/scripted_server.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const receiver = perTest(() => new WebhookReceiver().open());

function told(): NodeJS.ProcessEnv {
  const secretsFile = join(temporaryFolder(), "secrets");
  writeFileSync(secretsFile, `${webhookSecret}\n`);
  // A daemon in this process may have narrowed the umask.
  chmodSync(secretsFile, 0o644);
  return { NEXUS_NOTIFY_URL: receiver.url, NEXUS_NOTIFY_SECRETS_FILE: secretsFile };
}

describe("notifications", () => {
  const world = perTest(() => ScriptedWorld.make(told()));

  it("tell that a person is needed, lead to the consent, and tell that it is over", async () => {
    const name = "acme";
    const connectionId = await world.connect(await world.register({ name }));
    await receiver.until(({ type }) => type === "connection.active");

    world.answerToken = () => json({ error: "invalid_grant" }, 400);
    await world.refresh(connectionId);
    const event = await receiver.until(({ type }) => type === "connection.attention");
    expect(event.data).toMatchObject({
      connection_id: connectionId,
      provider: name,
      user_id: "ada",
      reason: "reauth_required",
      message: "The provider no longer accepts the refresh token: the user must consent again.",
    });
    const link = event.data["link"] ?? "";
    expect(link).toMatch(new RegExp(`^${world.place.config.publicUrl}/c/[\\w-]{27}$`));
    expect(link).not.toContain(connectionId);

    world.answerToken = goodTokens();
    // A mail program that looks first takes nothing away.
    expect((await fetch(link, { redirect: "manual" })).status).toBe(303);
    const page = await new Browser().get(link);
    expect([page.status, page.body]).toEqual([200, expect.stringContaining("is connected")]);
    await receiver.until(({ type }) => type === "connection.recovered");
    expect(await world.status(connectionId)).toBe("active");
    const again = await fetch(link, { redirect: "manual" });
    expect([again.status, await again.text()]).toEqual([
      404,
      expect.stringContaining("This link cannot be used"),
    ]);
    expect(receiver.events.map(({ type }) => type)).toEqual([
      "connection.active",
      "connection.attention",
      "connection.recovered",
    ]);
    const code = link.slice(link.lastIndexOf("/") + 1);
    for (const secret of [code, "secret-path", webhookSecret, "access-1-secret", "refresh-1-secret"]) {
      expect(world.place.logLines.join("")).not.toContain(secret);
      expect(JSON.stringify(receiver.events.filter((each) => each !== event))).not.toContain(secret);
    }
    const metrics = async () => (await fetch(`${world.actingOpsUrl}/metrics`)).text();
    await expect.poll(metrics).toContain("nexus_notifications_waiting 0");
    expect(await metrics()).toContain('nexus_notifications_total{outcome="taken"} 3');
  });

  it("are signed by a file that other users can read, which is said at the start", () => {
    const warned = world.place.logLines.filter((line) => line.includes("open to other users"));
    expect(warned.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: "warn", name: "webhook", mode: "0644" }),
    ]);
  });

  it("go to receivers of a file that other users can read, which is said at the start", async () => {
    const file = join(temporaryFolder(), "receivers.yaml");
    writeFileSync(
      file,
      "receivers: [{ name: mail, command: [/bin/true], events: [connection.attention] }]\n",
    );
    for (const [mode, warned] of [
      [0o644, [{ level: "warn", setting: "NEXUS_NOTIFY_FILE", mode: "0644" }]],
      [0o602, [{ level: "warn", setting: "NEXUS_NOTIFY_FILE", mode: "0602" }]],
      [0o640, []],
    ] as const) {
      chmodSync(file, mode);
      const place = await Place.make({ NEXUS_NOTIFY_FILE: file });
      const daemon = await place.start(new SystemClock());
      await daemon.stop();
      const lines = place.logLines.filter((line) => line.includes("open to other users"));
      expect(lines.map((line) => JSON.parse(line))).toMatchObject(warned);
    }
  });

  it("are tried by hand, and say why a receiver took none", async () => {
    const run = async (...args: string[]) => {
      const environment = { NEXUS_DATA_DIR: world.place.config.dataDir };
      const command = new DaemonProcess(environment, ["notify", "test", ...args]);
      const code = await command.exited;
      return `${code} ${command.output}`;
    };
    expect(await run()).toMatch(/^0 RECEIVER +TEST +REASON\nwebhook +taken/);
    receiver.answer = (_event, response) => void response.writeHead(503).end();
    expect(await run("webhook")).toMatch(
      /^1 [\s\S]*webhook +not taken +http_503[\s\S]*not taken by webhook: .*503/,
    );
    expect(await run("other")).toMatch(/receiver/);
    expect(receiver.events.map(({ type }) => type)).toEqual(["test", "test"]);
  });

  it.each(["/c/", "/c/x", `/c/${"A".repeat(27)}`, "/c/..%2f..%2fstatus", `/c/${"A".repeat(27)}/`])(
    "have no link %s",
    async (path) => {
      const { status } = await fetch(`${world.place.config.publicUrl}${path}`, { redirect: "manual" });
      expect([400, 404, 410]).toContain(status);
    },
  );
});

describe("the outbox", () => {
  const place = perTest(() => Place.make(told()));
  const daemons = perTest(() => new DaemonProcesses(place.environment));

  /**
   * Each round connects once, and the daemon is killed: when the connection is stored, while the receiver has the event, or when it
   * has answered.
   */
  it("loses no event to a kill, and repeats none but one whose answer the kill cut off, under its id", async () => {
    const rounds = 15;
    const waiting = async (): Promise<string> => (await fetch(`${place.opsUrl}/metrics`)).text();
    const kills = ["stored", "arrived", "answered"] as const;
    let daemon = await daemons.started();
    const profile = { name: "key", authType: AuthType.API_KEY };
    const providerId = await registered(place.clients(), profile);
    const connected: { readonly id: string; readonly killedAt: (typeof kills)[number] }[] = [];
    for (let round = 0; round < rounds; round++) {
      const killedAt = kills[round % kills.length] ?? "stored";
      const { connections } = place.clients();
      const request = requestOf(providerId, { userId: `user-${round}` });
      const { connectionId, state } = await connections.requestConnection(request);
      const current = daemon;
      let onCaptured = (): void => undefined;
      const captured = new Promise<void>((resolve) => {
        onCaptured = resolve;
      });
      const killed = new Promise<void>((resolve) => {
        receiver.answer = (event: ReceivedEvent, response) => {
          const isMine = event.data["connection_id"] === connectionId;
          if (!isMine || killedAt === "stored") return void response.writeHead(204).end();
          if (killedAt === "answered") response.writeHead(204).end();
          // What is told may come before the call is answered that it is told of.
          void captured.then(() => current.kill("SIGKILL")).then(() => resolve());
        };
      });
      await connections.captureCredential({ state, credentials: { api_key: `key-${round}` } });
      onCaptured();
      connected.push({ id: connectionId, killedAt });
      await (killedAt === "stored" ? current.kill("SIGKILL") : killed);
      receiver.answer = (_event, response) => void response.writeHead(204).end();
      daemon = await daemons.started();
      await receiver.until(({ data }) => data["connection_id"] === connectionId);
      // The next kill cuts off no answer of this round.
      await expect.poll(waiting, { timeout: 20_000 }).toContain("nexus_notifications_waiting 0");
    }
    for (const { id, killedAt } of connected) {
      const events = receiver.events.filter(({ data }) => data["connection_id"] === id);
      expect(new Set(events.map((event) => event.id)).size).toBe(1);
      // Whether a kill comes before the answer is stored is a matter of chance.
      expect(events.length).toBeLessThanOrEqual(2);
      if (killedAt === "arrived") expect(events.length).toBe(2);
    }
  }, 180_000);
});
