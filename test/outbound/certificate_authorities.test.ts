import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { FailedPrecondition, Unavailable } from "../../src/model/errors.js";
import { AuthorityFiles, trusting } from "../../src/outbound/certificate_authorities.js";
import { createOutboundFetch, type OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { Authority } from "../fakes/certificates.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { PrivateApi } from "../fakes/private_api.js";
import { perTest } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";

let path: string;
beforeEach(() => {
  path = join(temporaryFolder(), "corp.pem");
});
const filesAt = () => new AuthorityFiles({ corp: path });

describe("a request of a profile with an authority of its own", () => {
  const api = perTest(() => PrivateApi.start());
  const outbound = createOutboundFetch({ networks: loopbackNetworks });
  const statusBy = async (fetch: OutboundFetch): Promise<unknown> => {
    const answer = fetch(`${api.origin}/user`, { method: "GET", headers: {} });
    return await answer.then(
      ({ status }) => status,
      ({ reason, code }) => code ?? reason,
    );
  };
  const untrusted =
    /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT.*)$/;

  it("trusts it, and no other request does, before and after", async () => {
    writeFileSync(path, api.authority.pem);
    const own = trusting(outbound, filesAt(), "corp");
    expect(await statusBy(outbound)).toMatch(untrusted);
    for (let count = 0; count < 2; count++) {
      expect(await statusBy(own)).toBe(200);
      expect(await statusBy(outbound)).toMatch(untrusted);
      expect(await statusBy(trusting(outbound, filesAt(), ""))).toMatch(untrusted);
    }
    expect(await statusBy(createOutboundFetch({ networks: loopbackNetworks }))).toMatch(untrusted);
  });

  it("goes by what the file holds at that time", async () => {
    const own = trusting(outbound, filesAt(), "corp");
    expect(await statusBy(own)).toBe("authority_unread");
    writeFileSync(path, new Authority("Another one").pem);
    expect(await statusBy(own)).toMatch(untrusted);
    writeFileSync(path, `# both\n${new Authority("Another one").pem}\n${api.authority.pem}`);
    expect(await statusBy(own)).toBe(200);
    writeFileSync(path, "");
    expect(await statusBy(own)).toBe("authority_file");
    expect(api.requests).toEqual(["GET /user"]);
  });
});

const authority = new Authority();

describe("a file of authorities", () => {
  it.each([
    [
      "not there",
      (): void => {},
      Unavailable,
      /file corp cannot be read \(ENOENT\): check NEXUS_API_CA_FILES/,
    ],
    ["a folder", () => mkdirSync(path), FailedPrecondition, /file corp is no regular file/],
    ["empty", () => writeFileSync(path, ""), FailedPrecondition, /file corp is no certificate as PEM/],
    ["text", () => writeFileSync(path, "root:x:0:0"), FailedPrecondition, /is no certificate as PEM/],
    [
      "a broken certificate",
      () => writeFileSync(path, authority.pem.replace("MII", "AAA")),
      FailedPrecondition,
      /is no certificate as PEM/,
    ],
    [
      "a whole certificate before one that was cut off",
      () => writeFileSync(path, authority.pem + authority.pem.slice(0, 300)),
      FailedPrecondition,
      /is no certificate as PEM/,
    ],
    [
      "a key beside its certificate",
      () => writeFileSync(path, authority.pem + authority.issue().key),
      FailedPrecondition,
      /holds a private key/,
    ],
    [
      "the certificate of a server",
      () => writeFileSync(path, authority.issueServer().cert),
      FailedPrecondition,
      /neither a CA certificate nor self-signed/,
    ],
    [
      "21 certificates",
      () => writeFileSync(path, authority.pem.repeat(21)),
      FailedPrecondition,
      /holds 21 certificates, more than 20/,
    ],
    [
      "larger than 64 KiB",
      () => writeFileSync(path, authority.pem + " ".repeat(65_536)),
      FailedPrecondition,
      /holds more than 65536 bytes/,
    ],
  ])("that is %s is refused by its name alone", async (_, write, kind, why) => {
    write();
    const error: Error = await filesAt()
      .read("corp")
      .then(
        () => new Error("it is taken"),
        (thrown) => thrown,
      );
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(why);
    for (const text of [path, "root", "BEGIN"]) expect(error.message).not.toContain(text);
  });

  it.each(["other", "__proto__", "constructor", "/etc/shadow"])("is none by the name %s", async (name) => {
    await expect(filesAt().read(name)).rejects.toThrow(`NEXUS_API_CA_FILES names no file ${name}`);
  });

  it("is none where no name is given, and is parsed once while it stays the same", async () => {
    const files = filesAt();
    expect(files.names).toEqual(["corp"]);
    expect(await files.read("")).toBeUndefined();
    writeFileSync(path, authority.pem);
    expect(await files.read("corp")).toBe(await files.read("corp"));
  });
});
