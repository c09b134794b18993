import koffi from "koffi";
import { expect, test } from "vitest";
import { loadSystemCalls, platform, platformOf } from "../../../src/runtime/runtime.js";

const macOs = platformOf("darwin", "arm64");

test("this process knows its platform", () => {
  expect(platform.target).toBe(`${process.platform}-${process.arch}`);
});

test("macOS has shorter paths of sockets, no service manager, no namespaces, and needs no display", () => {
  expect(macOs).toMatchObject({
    name: "macOS",
    target: "darwin-arm64",
    maxSocketPathBytes: 103,
    hasServiceManager: false,
    hasNamespaces: false,
    hasDisplayVariables: false,
  });
  expect(platformOf("darwin", "x64")).toEqual({ ...macOs, target: "darwin-x64" });
});

/** The layout comes from the compiler's rules for the members, and not from a table of ours. */
test.each([
  [
    "xucred_of_macos",
    macOs,
    { version: "uint32_t", uid: "uint32_t", groups: "int16_t", list: koffi.array("uint32_t", 16) },
    { version: 0, uid: 0xdeadbeef, groups: 2, list: [20, 12, ...Array(14).fill(0)] },
  ],
  [
    "ucred_of_linux",
    platformOf("linux", "arm64"),
    { pid: "int32_t", uid: "uint32_t", gid: "uint32_t" },
    { pid: 4_711, uid: 0xdeadbeef, gid: 20 },
  ],
])("the user is read from the struct %s", (name, { peerOption }, members, value) => {
  const struct = koffi.struct(name, members);
  expect(peerOption?.bytes).toBe(koffi.sizeof(struct));
  const bytes = Buffer.alloc(koffi.sizeof(struct));
  koffi.encode(bytes, struct, value);
  expect(peerOption?.uidOf(bytes)).toBe(0xdeadbeef);
});

test("of another system nothing is known but its name", () => {
  expect(platformOf("openbsd", "x64")).toMatchObject({
    name: "openbsd",
    peerOption: undefined,
    openFilesResource: undefined,
    hasNamespaces: false,
  });
});

test("the C library reports what failed", async () => {
  const calls = await loadSystemCalls();
  expect(calls.close(-1)).toBe(-1);
  // EBADF
  expect(calls.errno()).toBe(9);
});
