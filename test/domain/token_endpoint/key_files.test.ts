import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { KeyFiles } from "../../../src/domain/token_endpoint/key_files.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { temporaryFolder } from "../../temporary_folder.js";

const pem = (): string =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  }) as string;

describe("a file with the key of a client", () => {
  let path: string;
  beforeEach(() => {
    path = join(temporaryFolder(), "key.pem");
  });
  const files = () => new KeyFiles({ clientKeyFiles: { robot: path } });
  const failure = async (name: string, alg = ""): Promise<GrantFailure> => {
    const error: unknown = await files()
      .read(name, alg)
      .catch((thrown: unknown) => thrown);
    if (!(error instanceof GrantFailure)) throw new Error(`no failure, but ${String(error)}`);
    expect(`${error.message} ${error.refusal}`).not.toContain(path);
    return error;
  };

  it("is read anew each time", async () => {
    const [one, two] = [pem(), pem()];
    const read = files();
    expect(read.names).toEqual(["robot"]);
    writeFileSync(path, one);
    expect((await read.read("robot", "")).reveal()).toBe(one);
    writeFileSync(path, two);
    expect((await read.read("robot", "ES256")).reveal()).toBe(two);
  });

  it.each([
    [
      "not there",
      (): void => {},
      "transient",
      /the client key file robot cannot be read \(ENOENT\): check NEXUS_SIGNING_KEY_FILES/,
    ],
    ["a folder", () => mkdirSync(path), "client", /is no regular file/],
    ["empty", () => writeFileSync(path, ""), "client", /the client key file robot /],
    ["something else", () => writeFileSync(path, "root:x:0:0"), "client", /the client key file robot /],
    [
      "larger than 64 KiB",
      () => writeFileSync(path, pem() + " ".repeat(65_536)),
      "client",
      /more than 65536 bytes/,
    ],
    [
      "of another algorithm",
      () => writeFileSync(path, pem()),
      "client",
      /does not sign by RS256, but by ES256/,
    ],
  ])("that is %s sends nothing, and is told by its name alone", async (_, write, kind, why) => {
    write();
    const refused = await failure("robot", "RS256");
    expect(refused).toMatchObject({ kind, refusal: expect.stringMatching(why) });
    expect(refused.refusal).not.toContain("root");
  });

  it.each(["other", "__proto__", "constructor", "/etc/shadow"])("is none by the name %s", async (name) => {
    writeFileSync(path, pem());
    expect(await failure(name)).toMatchObject({
      kind: "client",
      refusal: expect.stringContaining(`NEXUS_SIGNING_KEY_FILES names no file ${name}`),
    });
  });
});
