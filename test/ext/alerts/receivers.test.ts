import { writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { DocumentError, formatViolations } from "../../../src/document/document_error.js";
import type { NotificationMessage } from "../../../src/ext/alerts/receiver.js";
import { openReceivers, ReceiversError } from "../../../src/ext/alerts/receivers.js";
import { readReceivers } from "../../../src/ext/alerts/receivers_document.js";
import { publicNetworks } from "../../../src/outbound/address_judge.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { SystemClock } from "../../../src/runtime/clock.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";

const message: NotificationMessage = {
  id: "msg_1",
  type: "connection.attention",
  body: JSON.stringify({
    type: "connection.attention",
    timestamp: "2026-11-25T00:00:00Z",
    data: { user_id: "ädä" },
  }),
};
const [oldSecret, newSecret] = [1, 2].map((byte) => `whsec_${Buffer.alloc(32, byte).toString("base64")}`);
const never = new AbortController().signal;

class Played {
  readonly bodies: string[] = [];
  readonly headers: Record<string, string>[] = [];
  answer: RequestListener = (_request, response) => void response.writeHead(204).end();
  readonly server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      this.bodies.push(Buffer.concat(chunks).toString());
      this.headers.push(request.headers as Record<string, string>);
      this.answer(request, response);
    });
  });

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

describe("receivers", () => {
  const played = perTest(() => new Played());
  const folder = perTest(() => ({ path: temporaryFolder() }));

  function receiver(
    url: string,
    {
      secrets = `${oldSecret}\n${newSecret}\n`,
      allowLoopback = true,
      timeoutMs = 10_000,
    }: { secrets?: string | undefined; allowLoopback?: boolean; timeoutMs?: number } = {},
  ) {
    const secretsFile = join(folder.path, "secrets");
    writeFileSync(secretsFile, secrets);
    const [made] = openReceivers({
      specs: [
        { name: "ops", target: { kind: "webhook", url, secretsFile }, types: ["connection.attention"] },
      ],
      file: undefined,
      outbound: createOutboundFetch({ timeoutMs, networks: { ...publicNetworks, allowLoopback } }),
      environment: {},
      clock: new SystemClock(),
    });
    if (!made) throw new Error("no receiver");
    return made;
  }

  it("signs as the reference implementation of Standard Webhooks verifies, with each secret", async () => {
    const { url } = await played.open();
    const ops = receiver(url);
    expect(await ops.send(message, never)).toEqual({ kind: "taken" });
    for (const secret of [oldSecret, newSecret]) {
      const [body = "", headers = {}] = [played.bodies[0], played.headers[0]];
      expect(new Webhook(secret ?? "").verify(body, headers)).toEqual(JSON.parse(message.body));
      expect(() => new Webhook(secret ?? "").verify(`${body} `, headers)).toThrow();
    }
    writeFileSync(join(folder.path, "secrets"), `${newSecret}`);
    await ops.send(message, never);
    expect(() =>
      new Webhook(oldSecret ?? "").verify(played.bodies[1] ?? "", played.headers[1] ?? {}),
    ).toThrow();
    expect(ops.wants("connection.attention")).toBe(true);
    expect(ops.wants("connection.active")).toBe(false);
  });

  it.each([
    [200, {}, { kind: "taken" }],
    [410, {}, { kind: "gone" }],
    [400, {}, { reason: "http_400", isUnreachable: false }],
    [500, {}, { reason: "http_500", isUnreachable: false }],
    [429, { "retry-after": "7" }, { reason: "http_429", isUnreachable: true, retryAfterMs: 7_000 }],
    [503, { "retry-after": "999999" }, { reason: "http_503", isUnreachable: true, retryAfterMs: 3_600_000 }],
    [503, { "retry-after": "soon" }, { reason: "http_503", retryAfterMs: undefined }],
    [302, { location: "http://127.0.0.1:1/" }, { reason: "redirect", isUnreachable: false }],
  ])("takes status %i for what it is", async (status, headers, expected) => {
    played.answer = (_request, response) => void response.writeHead(status, headers).end();
    const { url } = await played.open();
    expect(await receiver(url).send(message, never)).toMatchObject(expected);
  });

  it("waits for no receiver that hangs or dies, and calls none where the daemon must not call", async () => {
    played.answer = () => undefined;
    const { url } = await played.open();
    const impatient = receiver(url, { timeoutMs: 300 });
    expect(await impatient.send(message, never)).toMatchObject({
      reason: "timeout",
      isUnreachable: true,
    });
    played.answer = (request) => void request.socket.destroy();
    expect(await receiver(url).send(message, never)).toMatchObject({
      reason: "network",
      isUnreachable: true,
    });
    played.answer = (_request, response) => void response.writeHead(200).end("x".repeat(1_000_000));
    expect(await receiver(url).send(message, never)).toEqual({ kind: "taken" });
    const calls = played.bodies.length;
    const forbidden = await receiver(url, { secrets: oldSecret, allowLoopback: false }).send(message, never);
    expect(forbidden).toMatchObject({ kind: "failed", reason: expect.stringMatching(/^forbidden_/) });
    expect(played.bodies).toHaveLength(calls);
  });

  it("sends nothing that it cannot sign", async () => {
    const { url } = await played.open();
    const ops = receiver(url);
    writeFileSync(join(folder.path, "secrets"), "whsec_short");
    expect(await ops.send(message, never)).toMatchObject({ reason: "secrets_unreadable" });
    expect(played.bodies).toEqual([]);
    for (const text of ["", "secret", "whsec_", "whsec_AAAA", `${oldSecret}\nnot one`]) {
      expect(() => receiver(url, { secrets: text })).toThrow(ReceiversError);
    }
  });

  it("runs a command with the event on its standard input, and believes its exit code", async () => {
    const out = join(folder.path, "out");
    const run = (script: string, signal = never) => {
      const target = { kind: "command", argv: [process.execPath, "-e", script, out] } as const;
      const environment = { PATH: process.env["PATH"] };
      const options = {
        file: undefined,
        outbound: createOutboundFetch(),
        environment,
        clock: new SystemClock(),
      };
      const [command] = openReceivers({ specs: [{ name: "command", target, types: [] }], ...options });
      return command?.send(message, signal);
    };
    const write = "fs.writeFileSync(process.argv[1], fs.readFileSync(0))";
    expect(await run(write)).toEqual({ kind: "taken" });
    expect(
      await run(
        `if (fs.readFileSync(process.argv[1], "utf8") !== ${JSON.stringify(`${message.body}\n`)}) process.exit(1)`,
      ),
    ).toEqual({ kind: "taken" });
    expect(await run("process.exit(3)")).toMatchObject({ reason: "exit_3", isUnreachable: false });
    expect(await run("process.kill(process.pid, 'SIGKILL')")).toMatchObject({ reason: "SIGKILL" });
    const cut = new AbortController();
    const hanging = run("setInterval(() => {}, 1e6)", cut.signal);
    cut.abort();
    expect(await hanging).toMatchObject({ reason: "aborted" });
    const target = { kind: "command", argv: ["/nowhere/at/all"] } as const;
    const [missing] = openReceivers({
      specs: [{ name: "command", target, types: [] }],
      file: undefined,
      outbound: createOutboundFetch(),
      environment: {},
      clock: new SystemClock(),
    });
    expect(await missing?.send(message, never)).toMatchObject({ reason: "ENOENT", isUnreachable: true });
  });

  it("reads a file of receivers", () => {
    const text = `receivers:
- {name: ops, url: "https://hooks.example/x", secrets_file: /run/s, events: [connection.attention]}
- {name: mail, command: [/usr/bin/tell, --now]}`;
    expect(readReceivers(text)).toEqual([
      {
        name: "ops",
        target: { kind: "webhook", url: "https://hooks.example/x", secretsFile: "/run/s" },
        types: ["connection.attention"],
      },
      { name: "mail", target: { kind: "command", argv: ["/usr/bin/tell", "--now"] }, types: [] },
    ]);
  });

  it.each([
    ["{}", "1:1: receivers: must be a list of at most 20"],
    ["receivers:\n- 7", "2:3: a receiver must be keys and values"],
    ["receivers:\n- {name: A, command: [x]}", "name: must be lower-case"],
    ["receivers:\n- {name: a, command: [x]}\n- {name: a, command: [x]}", "3:10: name: must be"],
    ["receivers:\n- {name: a}", "either url or command is required"],
    ["receivers:\n- {name: a, url: 'https://h/', command: [x]}", "either url or command is required"],
    ["receivers:\n- {name: a, url: 'https://h/'}", "secrets_file: is required"],
    ["receivers:\n- {name: a, url: 'ftp://h/', secrets_file: s}", "url: must be an https URL"],
    ["receivers:\n- {name: a, url: 'https://u:p@h/', secrets_file: s}", "must not hold a user name"],
    ["receivers:\n- {name: a, command: tell}", "command: must be a list"],
    ["receivers:\n- {name: a, command: [x], events: [connection.sad]}", "events[0]: must be one of"],
    ["receivers:\n- {name: a, command: [x], wants: all}", "wants"],
  ])("says what is wrong with %j", (text, expected) => {
    try {
      readReceivers(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(DocumentError);
      expect(formatViolations(error as DocumentError).join("\n")).toContain(expected);
    }
  });
});
