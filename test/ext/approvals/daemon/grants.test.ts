import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell, startMs } from "../../../cli/fake_shell.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { registered } from "../../../daemon/requests.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";

describe("nexusd grants", () => {
  const daemon = perSuite(async () => {
    const started = await TestDaemon.start({}, new ManualClock(startMs));
    for (const name of ["github", "slack"])
      await registered(started.clients, { name, authType: AuthType.API_KEY });
    return started;
  });

  const nexusd = (...args: string[]) => typedAt(false, ...args);
  const typedAt = async (outIsTTY: boolean, ...args: string[]) => {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: daemon.place.config.dataDir }, outIsTTY });
    const code = await run(args, shell);
    return { code, out: shell.out(), err: shell.err() };
  };
  const names = async () => {
    const { out } = await nexusd("grants", "--json");
    return out
      .split("\n")
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { name: string }).name.replace(/\.[0-9a-f]{6}$/, ""));
  };

  it("makes keys with an end, which are listed until they have ended", async () => {
    const { code, out, err } = await nexusd(
      "grant",
      "claude",
      "github",
      "--until",
      "8h",
      "--user",
      "ada",
      "--read-only",
    );
    expect([code, err]).toEqual([
      0,
      expect.stringContaining("claude may use github of ada until 2026-11-24T20:00:00Z"),
    ]);
    expect(out).toMatch(/^nxk_/);
    await nexusd("grant", "claude", "slack", "--until", "2026-11-24T13:00:00Z", "--user", "ada");
    await nexusd("grant", "other", "github", "--until", "8h", "--user", "ada");
    expect(await names()).toEqual(["claude.github", "claude.slack", "other.github"]);
    const { out: table } = await nexusd("grants");
    expect(table).toMatch(/claude +github +users ada; providers github; methods GET, HEAD, OPTIONS/);
  });

  it("revoke ends the grants of one provider, and stop all keys of an agent", async () => {
    await nexusd("keys", "create", "claude", "--user", "ada");
    expect(await nexusd("revoke", "claude", "slack", "--yes")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^claude\.slack\.\w+ has ended\n$/),
    });
    expect(await names()).toEqual(["claude.github", "other.github"]);
    const none = await nexusd("revoke", "nobody", "slack", "--yes");
    expect([none.code, none.err]).toEqual([
      1,
      expect.stringContaining("nobody has no active grant for slack: see nexusd grants"),
    ]);
    const late = await nexusd("grant", "claude", "slack", "--until", "25:00");
    expect([late.code, late.err]).toEqual([2, expect.stringContaining('"25:00" is not a time: write 18:00')]);
    const { out } = await nexusd("stop", "claude", "--yes");
    expect(out).toMatch(/^claude has ended\nclaude\.github\.\w+ has ended\n$/);
    expect(await names()).toEqual(["other.github"]);
    expect(await nexusd("stop", "claude", "--yes")).toMatchObject({
      code: 1,
      err: expect.stringContaining("has no active key or grant"),
    });
  });

  it("stop ends an agent that has no key, names it, and lets it call again", async () => {
    const pod = "jwt:system:serviceaccount:agents:research";
    expect(await nexusd("stop", pod, "--yes")).toMatchObject({
      code: 0,
      out: `${pod} is stopped until nexusd stop --lift\n`,
    });
    expect((await nexusd("stop")).out).toMatch(/^AGENT +STOPPED +BY\njwt:system:\S+research +\S.* owner\n$/);
    const { rule } = await daemon.clients.access.explainAccess({ principal: pod, action: "token.read" });
    expect(rule).toContain(`${pod} was stopped`);
    expect((await nexusd("stop", pod, "--lift")).out).toBe(`${pod} may call again\n`);
    expect((await nexusd("stop")).err).toBe("no agent without a key is stopped\n");
    expect(await nexusd("stop", "key:other", "--lift")).toMatchObject({ code: 2 });
    expect((await nexusd("stop", "key:No")).err).toContain("the name of an agent or of its key");
    await nexusd("keys", "create", "ci.prod", "--role", "operator");
    expect((await nexusd("stop", "key:ci.prod", "--yes")).out).toBe("ci.prod has ended\n");
    expect((await nexusd("stop", "key:other", "--yes")).out).toMatch(/^other\.github\.\w+ has ended\n$/);
  });

  it("revoke finds the provider however it is named, and says what the agent has where it has no grant", async () => {
    const { providers } = await daemon.clients.providers.listProviders({});
    const id = providers.find(({ name }) => name === "github")?.id ?? "";
    for (const named of ["GitHub", id, id.slice(0, 8)]) {
      await nexusd("grant", "named", "github", "--until", "8h");
      const { out } = await nexusd("revoke", "named", named, "--yes");
      expect(out).toMatch(/^named\.github\.\w+ has ended\n$/);
    }
    await nexusd("keys", "create", "named", "--user", "ada", "--provider", "github");
    await nexusd("grant", "named", "slack", "--until", "8h");
    const { code, err } = await nexusd("revoke", "named", "github", "--yes");
    expect(code).toBe(1);
    expect(err).toMatch(
      new RegExp(
        [
          "named has no active grant for github; it has",
          "  the API key named \\(users ada; providers github\\): nexusd keys revoke named",
          "  the grant named\\.slack\\.\\w+: nexusd revoke named slack",
        ].join("\n"),
      ),
    );
    expect((await nexusd("revoke", "named", "gone", "--yes")).err).toContain(
      "named has no active grant for gone",
    );
    await nexusd("stop", "named", "--yes");
  });

  it("names the verb of approvals that is meant", async () => {
    const { err } = await nexusd("approvals", "yes", "1");
    expect(err).toMatch(/'yes': there are .*; did you mean nexusd approvals approve\?\n/);
  });

  it("makes one key for several providers, which ends for all of them", async () => {
    const { err, out } = await nexusd(
      "grant",
      "multi",
      "github",
      "slack",
      "github",
      "--lease",
      "10m",
      "--user",
      "ada",
    );
    expect(err).toContain("multi may use github, slack of ada with a lease of 10m");
    expect(out).toMatch(/^nxk_/);
    expect((await nexusd("grants")).out).toMatch(
      /^multi +github, slack +users ada; providers github, slack .* multi\.several\./m,
    );
    const typo = await nexusd("grant", "multi", "github", "slak", "--lease", "10m");
    expect([typo.code, typo.err]).toEqual([1, expect.stringContaining("did you mean slack?")]);
    const none = await nexusd("revoke", "multi", "stripe", "--yes");
    expect(none.err).toMatch(
      /multi has no active grant for stripe; it has\n {2}the grant multi\.several\.\w+: nexusd revoke multi github$/m,
    );
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: daemon.place.config.dataDir }, answers: ["no"] });
    expect(await run(["revoke", "multi", "slack"], shell)).toBe(1);
    expect(shell.questions[0]?.question).toMatch(/^End multi\.several\.\w+ \(github, slack\)\?/);
    expect((await nexusd("revoke", "multi", "slack", "--yes")).out).toMatch(
      /^multi\.several\.\w+ has ended\n$/,
    );
  });

  it("stop --user ends all agents of a user, and names those that others use too", async () => {
    await nexusd("grant", "eva-agent", "github", "slack", "--lease", "10m", "--user", "eva");
    await nexusd("keys", "create", "eva-key", "--user", "eva", "--user", "bob");
    await nexusd("keys", "create", "everyone", "--user", "*");
    await nexusd("keys", "create", "pattern", "--user", "ev*");
    await nexusd("keys", "create", "bobs", "--user", "bob");
    const { out, err } = await nexusd("stop", "--user", "eva", "--yes");
    expect(out).toMatch(/^eva-agent\.several\.\w+ has ended\neva-key has ended\n$/);
    expect(err).toMatch(/^these may act for eva and for others, and stay: .*everyone.*pattern.*\n$/);
    expect(err).not.toContain("bobs");
    const again = await nexusd("stop", "--user", "eva", "--yes");
    expect([again.code, again.err]).toEqual([
      1,
      expect.stringContaining("no agent has a key that names eva"),
    ]);
    for (const flags of [
      ["claude", "--user", "eva"],
      ["--user", "eva", "--lift"],
    ])
      expect((await nexusd("stop", ...flags)).code).toBe(2);
  });

  it("makes a grant with a lease, which its agent renews, once or while a program runs", async () => {
    const { out, err } = await nexusd("grant", "leased", "github", "--lease", "10m", "--user", "ada");
    expect(err).toContain("leased may use github of ada with a lease of 10m");
    expect((await nexusd("grants")).out).toMatch(/^leased +github .* in 10m +10m +leased\.github/m);
    const renew = async (...program: string[]) => {
      const { place } = daemon;
      const shell = fakeShell({ env: { NEXUS_ADDRESS: place.httpUrl, NEXUS_API_KEY: out.trim() } });
      const code = await run(["keys", "renew", ...program], shell);
      return { code, shell, out: shell.out(), err: shell.err() };
    };
    daemon.clock.advance(9 * 60_000);
    expect(await renew()).toMatchObject({
      code: 0,
      out: "the lease ends at 2026-11-24T12:19:00Z unless it is renewed\n",
    });
    const { code, shell } = await renew("--", "agent", "--fast");
    expect([code, shell.programs.map(({ argv }) => argv)]).toEqual([0, [["agent", "--fast"]]]);
    daemon.clock.advance(10 * 60_000);
    expect(await names()).not.toContain("leased.github");
    expect(await renew()).toMatchObject({
      code: 1,
      err: expect.stringContaining("its lease was not renewed"),
    });
  });

  it("takes a time of day for the next one that comes", async () => {
    const { err } = await nexusd("grant", "early", "github", "--until", "08:30", "--user", "ada");
    expect(err).toMatch(/until 2026-11-2[45]T/);
    const wrong = await nexusd("grant", "Bad.Name", "github", "--until", "8h");
    expect(wrong.code).toBe(2);
    const endless = await nexusd("grant", "early", "github");
    expect([endless.code, endless.err]).toEqual([2, expect.stringContaining("--until, --lease, or both")]);
  });

  it("refuses a provider that nobody has, and says which may be meant", async () => {
    const misspelt = await nexusd(
      "grant",
      "typing",
      "gihtub",
      "--until",
      "8h",
      "--output",
      "/nonexistent/key",
    );
    expect([misspelt.code, misspelt.err]).toEqual([
      1,
      expect.stringMatching(/^nexusd: cannot find the provider gihtub: .*\ndid you mean github\?\n$/),
    ]);
    const key = await nexusd("keys", "create", "typing", "--user", "*", "--provider", "gihtub");
    expect([key.code, key.out, key.err]).toEqual([1, "", expect.stringContaining("did you mean github?")]);
    const { out } = await nexusd("keys", "list");
    expect(out).not.toContain("typing");
  });

  it("stores the name of the provider, however it was named", async () => {
    const [provider] = (await daemon.clients.providers.listProviders({})).providers;
    await nexusd("grant", "byid", provider?.id.slice(0, 8) ?? "", "--until", "8h");
    await nexusd("keys", "create", "any", "--provider", " * ");
    await nexusd("keys", "create", "upper", "--provider", "GitHub");
    const { out } = await nexusd("keys", "list");
    expect(out).toMatch(new RegExp(`^byid\\.${provider?.name}\\.\\w+ .*providers ${provider?.name};?`, "m"));
    expect(out).toMatch(/^any .*providers \*/m);
    expect(out).toMatch(/^upper .*providers github/m);
  });

  it("prints the line of the proxy to copy, with the key where the terminal shows it", async () => {
    const grant = ["grant", "copied", "github", "--until", "8h"];
    const shown = await typedAt(true, ...grant);
    expect(shown.err).toContain(`\n  export HTTPS_PROXY="http://${shown.out.trim()}@127.0.0.1:8093"\n`);
    const piped = await nexusd(...grant);
    expect(piped.err).toContain('\n  export HTTPS_PROXY="http://KEY@127.0.0.1:8093"\n');
    expect(piped.err).not.toContain(piped.out.trim());
    const file = `${temporaryFolder()}/the key`;
    const written = await typedAt(true, ...grant, "--output", file);
    expect(written.err).toContain(`export HTTPS_PROXY="http://$(cat '${file}')@127.0.0.1:8093"\n`);
    expect(written.err).not.toContain("nxk_");
    const placed = fakeShell({
      env: { NEXUS_DATA_DIR: daemon.place.config.dataDir, NEXUS_EGRESS_LISTEN: "127.0.0.1:9100,[::1]:9100" },
    });
    await run(grant, placed);
    expect(placed.err()).toContain(
      'at the egress listener:\n  export HTTPS_PROXY="http://KEY@127.0.0.1:9100"\n',
    );
  });
});
