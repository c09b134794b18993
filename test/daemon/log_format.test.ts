import { afterEach, describe, expect, it } from "vitest";
import { perTest } from "../lifetimes.js";
import { needs } from "../needs.js";
import { DaemonProcess } from "./daemon_process.js";
import { Place } from "./harness.js";

/** Runs the rest of its arguments, none with white space, on a terminal of their own. */
const onTerminal = ["sh", "-c", 'exec script --quiet --return --flush --command "$*" /dev/null', "sh"];

const escapeCharacter = String.fromCharCode(27);

describe("the log on standard output", () => {
  const place = perTest(() => Place.make({ NEXUS_LOG_FORMAT: "" }));
  let daemon: DaemonProcess | undefined;
  afterEach(() => daemon?.kill("SIGTERM"));

  it("is an object a line where no terminal is attached", async () => {
    daemon = new DaemonProcess(place.environment);
    await daemon.ready();
    const lines = daemon.output.trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({
        level: expect.stringMatching(/^(info|warn)$/),
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        message: expect.any(String),
      });
    }
  });

  it("is for a person, in colours, where a terminal is attached", async (context) => {
    needs(context, "script");
    daemon = new DaemonProcess(place.environment, ["serve"], onTerminal);
    await daemon.wrote(/nexusd is ready/);
    const line = daemon.output.split("\n").find((text) => text.includes("nexusd is ready")) ?? "";
    expect(line).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\]/);
    expect(line).toContain("INFO");
    expect(line).toContain(`${escapeCharacter}[`);
    expect(daemon.output).not.toMatch(/^\{/m);
  });

  it("is an object a line on a terminal too where that is asked for", async (context) => {
    needs(context, "script");
    daemon = new DaemonProcess({ ...place.environment, NEXUS_LOG_FORMAT: "json" }, ["serve"], onTerminal);
    await daemon.ready();
    expect(daemon.output).toMatch(/^\{.*"nexusd is ready"\}\r?$/m);
  });
});
