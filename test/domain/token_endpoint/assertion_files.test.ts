import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { AssertionFiles } from "../../../src/domain/token_endpoint/assertion_files.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { makeFifo } from "../../fakes/fifo.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { nowMs } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: unknown): string => `${part({ alg: "RS256" })}.${part(claims)}.c2lnbmF0dXJl`;
const live = { sub: "system:serviceaccount:agents:nexusd", exp: nowMs / 1000 + 600 };

describe("a file with a client assertion", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder, "token");
  });
  const files = (clock = new ManualClock(nowMs)) =>
    new AssertionFiles({ clientAssertionFiles: { pod: path }, clock });
  const failure = async (name = "pod"): Promise<GrantFailure> => {
    const error: unknown = await files()
      .read(name)
      .catch((thrown: unknown) => thrown);
    if (!(error instanceof GrantFailure)) throw new Error(`no failure, but ${String(error)}`);
    expect(error.message).not.toContain(folder);
    return error;
  };

  it("is read anew each time, without the line end", async () => {
    const [one, two] = [jwt(live), jwt({ ...live, jti: "2" })];
    writeFileSync(path, `${one}\n`);
    const read = files();
    expect((await read.read("pod")).reveal()).toBe(one);
    writeFileSync(path, two);
    expect((await read.read("pod")).reveal()).toBe(two);
  });

  it("is followed when Kubernetes moves its symbolic links", async () => {
    // As the kubelet writes: token -> ..data/token, ..data -> ..2026_1, and another link renamed over ..data.
    const write = (name: string, text: string): void => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "token"), text);
      symlinkSync(name, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    const [one, two] = [jwt(live), jwt({ ...live, jti: "2" })];
    write("..2026_1", one);
    symlinkSync("..data/token", path);
    const read = files();
    expect((await read.read("pod")).reveal()).toBe(one);
    write("..2026_2", two);
    rmSync(join(folder, "..2026_1"), { recursive: true });
    expect((await read.read("pod")).reveal()).toBe(two);
  });

  it.each([
    ["not there", (): void => {}, "transient", /cannot be read \(ENOENT\)/],
    ["a link that leads nowhere", () => symlinkSync("nowhere", path), "transient", /ENOENT/],
    ["a link to itself", () => symlinkSync("token", path), "transient", /ELOOP/],
    [
      "larger than 16 KiB",
      () => writeFileSync(path, jwt({ ...live, x: "x".repeat(16_384) })),
      "client",
      /more than 16384 bytes/,
    ],
    ["empty", () => writeFileSync(path, ""), "client", /holds no JWT/],
    ["a password", () => writeFileSync(path, "s3cret-canary"), "client", /holds no JWT/],
    [
      "three parts that are no JWT",
      () => writeFileSync(path, "s3cret.canary.text"),
      "client",
      /holds no JWT/,
    ],
    ["a JWT and more", () => writeFileSync(path, `${jwt(live)}\n${jwt(live)}`), "client", /holds no JWT/],
    [
      "a JWT that has ended",
      () => writeFileSync(path, jwt({ exp: nowMs / 1000 })),
      "transient",
      /ended at 2023-/,
    ],
    ["a JWT that ended before time", () => writeFileSync(path, jwt({ exp: -1e30 })), "transient", /ended at/],
    ["a folder", () => mkdirSync(path), "client", /no regular file/],
    ["a pipe", () => makeFifo(path), "client", /no regular file/],
  ] as const)("%s is told, by its name and nothing else", async (_, make, kind, why) => {
    make();
    const error = await failure();
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(why);
    expect(error.message).not.toMatch(/canary|signature/);
  });

  it.each(["other", "", "__proto__", "constructor", "../token"])("%j names no file", async (name) => {
    writeFileSync(path, jwt(live));
    expect(await failure(name)).toMatchObject({
      kind: "client",
      message: expect.stringContaining("names no file"),
    });
  });
});
