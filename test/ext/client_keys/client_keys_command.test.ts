import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { FakeDaemon } from "../../cli/fake_daemon.js";
import { ended, fakeShell } from "../../cli/fake_shell.js";
import { perTest } from "../../lifetimes.js";

const daemon = perTest(() => new FakeDaemon());
const jwksUri = "https://nexus.example/.well-known/jwks.json";
const [atMs, dayMs] = [Date.UTC(2026, 0, 1), 86_400_000];
const keys = [
  { kid: "old", type: "P-256", signing: true, endsAt: timestampFromMs(atMs + dayMs) },
  { kid: "new", type: "P-256", signing: false, signsFrom: timestampFromMs(atMs) },
  { kid: "gone", type: "RSA", signing: false, endsAt: timestampFromMs(atMs) },
];

it("lists where the keys are published, which signs, and until when", async () => {
  daemon.api.clientKeys = { listClientKeys: () => ({ keys, jwksUri }) };
  await daemon.start();
  const shell = await ended(0, ["client-keys"], fakeShell({ env: daemon.env }));
  const [uri, title, ...rows] = shell.out().trimEnd().split("\n");
  expect(uri).toBe(`jwks_uri  ${jwksUri}`);
  expect(title).toMatch(/^KID +TYPE +USE +ENDS$/);
  expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
    ["old", "P-256", "signs", "2026-01-02T00:00:00Z"],
    ["new", "P-256", "signs from 2026-01-01T00:00:00Z"],
    ["gone", "RSA", "signed", "2026-01-01T00:00:00Z"],
  ]);
});

it("rotates without a question, and asks before it erases keys", async () => {
  daemon.api.clientKeys = { rotateClientKeys: () => ({ keys, jwksUri }) };
  await daemon.start();
  expect(await run(["client-keys", "rotate", "--type", "RSA"], fakeShell({ env: daemon.env }))).toBe(0);
  await ended(1, ["client-keys", "rotate", "--compromised"], fakeShell({ env: daemon.env, answers: ["n"] }));
  await ended(0, ["client-keys", "rotate", "--compromised", "--yes"], fakeShell({ env: daemon.env }));
  expect(await run(["client-keys", "rotate", "--type", "DSA"], fakeShell({ env: daemon.env }))).toBe(2);
  expect(daemon.got("RotateClientKeys")).toMatchObject([
    { type: "RSA", compromised: false },
    { type: "", compromised: true },
  ]);
});
