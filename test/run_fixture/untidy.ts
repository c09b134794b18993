import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { needs } from "../needs.js";
import { leaveLog, sweptFolder } from "../run_folder.js";
import { temporaryFolder } from "../temporary_folder.js";

test.each(["passes", "fails"])("leaves folders, a process and secrets, and %s", (ends) => {
  writeFileSync(join(temporaryFolder(), "file"), "");
  writeFileSync(join(mkdtempSync(join(tmpdir(), "forgotten-")), "file"), "");
  writeFileSync(join(sweptFolder(), "nexus.mdb"), "refresh-1-secret");
  leaveLog('{"message":"bad","token":"access-1-secret"}\n');
  const { pid } = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {
    detached: true,
    stdio: "ignore",
  });
  console.log(`left process ${pid}.`);
  if (ends === "fails") expect.fail("on purpose");
});

test("waits for ever", async () => {
  console.log("waiting");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}, 60_000);

test.for([1, 2])("needs promtool %i", (_, context) => {
  needs(context, "promtool");
});
