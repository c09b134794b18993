import { describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { KeySource } from "../../../src/gen/nexus/v1/keyring_pb.js";
import { FakeDaemon } from "../../cli/fake_daemon.js";
import { ended, fakeShell } from "../../cli/fake_shell.js";
import { perTest } from "../../lifetimes.js";

const [old, fresh] = ["0123456789abcdef", "fedcba9876543210"] as const;
const ring = (remaining: bigint, rotating: boolean, unreadable = 0n) => ({
  keyring: {
    source: KeySource.FILE,
    path: "/run/keys",
    keys: [
      { keyId: old, primary: false, records: remaining },
      { keyId: fresh, primary: true, records: 9n - remaining },
    ],
    rotating,
    remaining,
    unreadable,
  },
});

describe("keyring", () => {
  const daemon = perTest(() => new FakeDaemon());

  it("rotate shows how far it is, and the ring at the end", async () => {
    const steps = [ring(5n, true), ring(0n, false)];
    const shell = fakeShell({ env: daemon.env });
    daemon.api.keyring = {
      rotateKeyring: () => ring(9n, true),
      getKeyring: () => steps.shift() ?? ring(0n, false),
    };
    await daemon.start();
    const ended = run(["keyring", "rotate"], shell);
    while (!shell.err().includes("9 records to go")) await new Promise((resolve) => setImmediate(resolve));
    shell.clock.advance(1_000);
    while (!shell.err().includes("5 records to go")) await new Promise((resolve) => setImmediate(resolve));
    shell.clock.advance(1_000);
    expect(await ended).toBe(0);
    expect(shell.out()).toBe(
      `source  file /run/keys\nKEY               USE      RECORDS\n${old}           0\n${fresh}  primary  9\n`,
    );
  });

  it("rotate ends with 1 when records stay behind, and says what that means", async () => {
    daemon.api.keyring = { rotateKeyring: () => ring(1n, false, 1n) };
    await daemon.start();
    const shell = await ended(1, ["keyring", "rotate", "--to", fresh], fakeShell({ env: daemon.env }));
    expect(shell.err()).toContain("the old one can be retired");
  });

  it("retire asks a person first, and tells who must remove a key that lies in no file", async () => {
    daemon.api.keyring = { retireKey: () => ({ removedFromSource: false }) };
    await daemon.start();
    await ended(1, ["keyring", "retire", old], fakeShell({ env: daemon.env, answers: ["n"] }));
    expect(daemon.got("RetireKey")).toEqual([]);
    const script = await ended(0, ["keyring", "retire", old, "--yes"], fakeShell({ env: daemon.env }));
    expect(script.out()).toContain("remove it from where the keys come from");
    await ended(2, ["keyring", "retire", "my key"], fakeShell({ env: daemon.env }));
  });

  it("takes the beginning of a key's id, and asks with the whole of it", async () => {
    daemon.api.keyring = {
      getKeyring: () => ring(0n, false),
      retireKey: () => ({ removedFromSource: true }),
    };
    await daemon.start();
    const asked = await ended(
      0,
      ["keyring", "retire", "0123"],
      fakeShell({ env: daemon.env, answers: ["y"] }),
    );
    expect(asked.questions[0]?.question).toContain(`Backups made with key ${old} need it still.`);
    expect(daemon.got("RetireKey")).toMatchObject([{ keyId: old }]);
    const unknown = await ended(2, ["keyring", "retire", "abcd", "--yes"], fakeShell({ env: daemon.env }));
    expect(unknown.err()).toContain("no key of the ring begins with abcd");
    expect(await run(["keyring", "retire", "012", "--yes"], fakeShell({ env: daemon.env }))).toBe(2);
  });
});
