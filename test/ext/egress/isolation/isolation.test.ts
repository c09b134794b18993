import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isolated } from "../../../../src/ext/egress/isolation/isolation.js";
import { platformOf } from "../../../../src/runtime/runtime.js";
import { temporaryFolder } from "../../../temporary_folder.js";

test("on macOS, --isolate starts nothing, and says what to use in its place", async () => {
  const session = temporaryFolder();
  const places = { session, work: session, share: [], hidden: [], homes: [session], temporary: session };
  const isolation = {
    ...places,
    socket: join(session, "socket"),
    direct: [],
    path: process.env["PATH"] ?? "",
  };
  await expect(isolated(["true"], isolation, platformOf("darwin", "arm64"))).rejects.toThrow(
    /^--isolate cannot be kept, and the program was not started: macOS has no namespaces\. .*container.*NEXUS_EGRESS_LISTEN/,
  );
  expect(existsSync(join(session, "nothing"))).toBe(false);
});
