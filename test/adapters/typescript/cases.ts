/** The cases of test/adapters/python/test_cases.py with the framework of a folder. `cases.ts FOLDER resume PROVIDER` goes on with a run that it reads. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { ConsentRequired, Nexus } from "nexusd-client";
import type { Show } from "nexusd-client/ai";
import { act } from "./act.js";
import { type Agent, callApi } from "./agent.js";
import { playPage } from "./page_case.js";

type Shown = Parameters<Show>[0];

/** Who is shown links: opens each, or says no. */
class User {
  readonly shown: Shown[] = [];
  constructor(
    readonly agrees = true,
    readonly scope = "read",
  ) {}

  readonly show: Show = async (consent) => {
    this.shown.push(consent);
    await act(this.agrees ? "consent" : "deny", { url: consent.authUrl, scope: this.scope });
  };
}

const nexus = new Nexus();
const [folder = "", verb, given = ""] = process.argv.slice(2);
const { Harness }: { Harness: new (nexus: Nexus, provider: string) => Agent } = await import(
  `./${folder}/harness.js`
);
const tokenOf = async ({ provider }: Agent, user = "ada"): Promise<string | undefined> =>
  (await nexus.token(provider, { user })).accessToken;
const connect = (agent: Agent, user: string): Promise<string> =>
  act("connect", { provider: agent.provider, user });

function readsNoLink(agent: Agent, { shown }: User): void {
  for (const { authUrl } of shown) assert.ok(!agent.read.join("").includes(authUrl));
}

const cases: Readonly<Record<string, (agent: Agent, user: User) => Promise<void>>> = {
  "first consent": async (agent, user) => {
    for (let run = 0; run < 2; run++) {
      assert.deepEqual(await agent.run("ada", user.show), [`n:${await tokenOf(agent)}`]);
      assert.equal(user.shown.length, 1);
    }
    readsNoLink(agent, user);
  },
  streaming: async (agent, user) => {
    assert.deepEqual(await agent.stream("ada", user.show), [`n:${await tokenOf(agent)}`]);
    assert.equal(user.shown.length, 1);
  },
  /** 10 000 calls: runs of 50 parallel calls, of two users at once. */
  "two users never meet": async (agent, user) => {
    const tokens = new Map<string, string | undefined>();
    for (const name of ["ada", "bob"]) {
      await connect(agent, name);
      tokens.set(name, await tokenOf(agent, name));
    }
    assert.notEqual(tokens.get("ada"), tokens.get("bob"));
    const notes = [...Array(50).keys()].map(String);
    agent.turns = [notes.map((note) => ({ note }))];
    for (let round = 0; round < 10; round++) {
      const names = Array(10).fill(["ada", "bob"]).flat();
      const all = await Promise.all(names.map((name) => agent.run(name, user.show)));
      for (const [index, results] of all.entries())
        assert.deepEqual(
          results,
          notes.map((note) => `${note}:${tokens.get(names[index])}`),
        );
    }
  },
  denied: async (agent) => {
    const user = new User(false);
    assert.deepEqual(await agent.run("ada", user.show), [`The user declined to connect ${agent.provider}.`]);
    assert.equal(user.shown.length, 1);
    readsNoLink(agent, user);
  },
  "consent later in another process": async (agent) => {
    const argv = [...process.execArgv, import.meta.filename, folder, "resume", agent.provider];
    const child = promisify(execFile)(process.execPath, argv);
    child.child.stdin?.end(await agent.suspend("ada"));
    assert.deepEqual(JSON.parse((await child).stdout), [`n:${await tokenOf(agent)}`]);
  },
  "another user who goes on sees no link of the first": async (agent) => {
    const [saved, bob] = [await agent.suspend("ada"), new User(false)];
    await agent.resume(saved, "bob", bob.show);
    assert.deepEqual(
      bob.shown.map(({ user }) => user),
      ["bob"],
    );
  },
  "scopes missing in mid run": async (agent) => {
    await connect(agent, "ada");
    const user = new User(true, "read write");
    agent.body = callApi;
    agent.turns = [[{ note: "n" }], [{ note: "n" }]];
    assert.equal((await agent.run("ada", user.show)).at(-1), "n:200");
    assert.match(agent.read.join(""), /Call this tool again/);
    assert.deepEqual(
      user.shown.map(({ reason }) => reason),
      ["scopes_missing"],
    );
    readsNoLink(agent, user);
  },
  "refreshed while a tool runs": async (agent, user) => {
    await connect(agent, "ada");
    agent.body = async (account, note) => {
      const before = await account.token();
      await act("refresh", { provider: agent.provider, user: "ada" });
      for (;;) {
        const after = await account.token();
        if (after.revision !== before.revision) return `${note}:${after.accessToken}`;
        await delay(10);
      }
    };
    assert.deepEqual(await agent.run("ada", user.show), [`n:${await tokenOf(agent)}`]);
  },
  revoked: async (agent, user) => {
    const connection = await connect(agent, "ada");
    assert.deepEqual(await agent.run("ada", user.show), [`n:${await tokenOf(agent)}`]);
    await act("revoke", { connection });
    const ask = async (): Promise<void> => {
      for (;;) {
        await tokenOf(agent);
        await delay(10);
      }
    };
    await assert.rejects(ask, ConsentRequired);
    assert.deepEqual(await agent.run("ada", user.show), [`n:${await tokenOf(agent)}`]);
    assert.equal(user.shown.length, 1);
  },
  "the daemon restarts": async (agent, user) => {
    const later: Show = async (consent) => {
      await act("restart");
      await user.show(consent);
    };
    assert.deepEqual(await agent.run("ada", later), [`n:${await tokenOf(agent)}`]);
    assert.equal(user.shown.length, 1);
  },
  "a run is cancelled": async (agent, user) => {
    const cancel = new AbortController();
    const shown: string[] = [];
    const show: Show = ({ authUrl }) => {
      shown.push(authUrl);
      cancel.abort();
    };
    await assert.rejects(agent.run("ada", show, cancel.signal), { name: "AbortError" });
    assert.deepEqual(await agent.run("ada", user.show), [`n:${await tokenOf(agent)}`]);
    assert.deepEqual(
      user.shown.map(({ authUrl }) => authUrl),
      shown,
    );
  },
  "parallel calls show one link": async (agent, user) => {
    const { acquire } = nexus;
    let waits = 0;
    nexus.acquire = (...given) => {
      waits += 1;
      return acquire.apply(nexus, given);
    };
    agent.turns = [[..."01234"].map((note) => ({ note, ...(note === "4" && { tool: "wider" }) }))];
    const results = await agent.run("ada", user.show);
    const token = await tokenOf(agent);
    assert.deepEqual(
      results,
      [..."01234"].map((note) => `${note}:${token}`),
    );
    assert.equal(user.shown.length, 1);
    // One for each account and its scopes.
    assert.equal(waits, 2);
    nexus.acquire = acquire;
  },
  "a model cannot name a user": async (agent, user) => {
    for (const name of ["ada", "bob"]) await connect(agent, name);
    const named = { user: "bob", user_id: "bob" };
    const hidden = { account: named, experimental_context: named, context: named, options: named };
    agent.turns = [
      [{ note: "n", ...named, ...hidden }],
      [{ note: "n", ...named }],
      [{ note: "n", ...hidden }],
    ];
    const own = `n:${await tokenOf(agent)}`;
    assert.deepEqual(await agent.run("ada", user.show), [own, own, own]);
    assert.ok(!agent.read.join("").includes((await tokenOf(agent, "bob")) ?? "none"));
    await assert.rejects(agent.run("", user.show), /the run has no user/);
  },
  "the page": () => playPage(() => import(`./${folder}/page.js`)),
};

if (verb === "resume") {
  const agent = new Harness(nexus, given);
  console.log(JSON.stringify(await agent.resume(readFileSync(0, "utf8"), "ada", new User().show)));
} else {
  for (const [name, play] of Object.entries(cases)) {
    let outcome = "passed";
    try {
      await play(new Harness(nexus, await act("register")), new User());
    } catch (error) {
      outcome = "failed";
      console.error(name, error);
    }
    appendFileSync(process.env["REPORT"] ?? "/dev/stdout", `${name}\t${outcome}\n`);
  }
}
nexus.close();
