/**
 * The documents, walked as a user does: nexusd is installed in a bare home as README says, and every command of a block of shell is typed at a
 * terminal, against fakes of the providers. A new command is typed too; `plan.ts` says what stands for the words of the document, and which
 * commands cannot run here, with the reason.
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { needs } from "../needs.js";
import { type Command, commandsOf, documents } from "./documents.js";
import { Home, type Walker } from "./home.js";
import { Internet } from "./internet.js";
import { type Step, type Walk, walks } from "./plan.js";
import type { Terminal } from "./terminal.js";

let internet: Internet;
beforeAll(async () => {
  internet = await Internet.start();
});
afterAll(() => internet.close());

const walked = documents.filter((document) => commandsOf(document).length > 0);

beforeEach((context) => {
  for (const program of ["bubblewrap", "curl", "jq", "openssl", "script"] as const) needs(context, program);
});

it("each document with commands has a walk, and each walk a document", () => {
  expect(Object.keys(walks).sort()).toEqual([...walked].sort());
});

it.each(walked)("each entry of the walk through %s is one of a command", (document) => {
  const commands = commandsOf(document);
  const used = commands.map((command) => entryOf(walks[document]?.steps ?? {}, command)?.[0]);
  const stale = Object.keys(walks[document]?.steps ?? {}).filter((beginning) => !used.includes(beginning));
  expect(stale).toEqual([]);
});

function entryOf(steps: Walk["steps"], { text }: Command): [string, Step] | undefined {
  return Object.entries(steps)
    .filter(([beginning]) => text.startsWith(beginning))
    .sort(([a], [b]) => b.length - a.length)[0];
}

/** One walk: the window in which the user works, a new one for each block, and the one of the daemon. */
class Way {
  #work: Terminal;
  #block = 0;
  #daemon: Terminal | undefined;
  #shown = "";

  constructor(
    private readonly home: Home,
    private readonly walk: Walk,
  ) {
    this.#work = this.#window();
  }

  #window(): Terminal {
    return this.home.terminal(this.walk.inCheckout ? this.home.workFolder : this.home.folder);
  }

  async prepare(): Promise<void> {
    const { given = [], files = {}, programs = {} } = this.walk;
    for (const [name, text] of Object.entries(files)) this.home.file(name, text);
    for (const [name, text] of Object.entries(programs)) this.home.program(name, text);
    await this.serve();
    for (const command of given) await this.type(command, {});
  }

  async serve(command = this.walk.serve ?? "nexusd serve"): Promise<void> {
    if (command === "") return;
    this.#daemon = this.home.terminal();
    await this.#daemon.begin(command, /nexusd is ready/);
  }

  async stop(): Promise<void> {
    const ended = await this.#daemon?.interrupt();
    if (ended) expect(ended.code, ended.text).toBe(0);
    this.#daemon = undefined;
  }

  async take(command: Command): Promise<void> {
    const [, step = {}] = entryOf(this.walk.steps, command) ?? [];
    if (step.cannot !== undefined) return;
    if (command.block !== this.#block) this.#work = this.#window();
    this.#block = command.block;
    if (step.daemon !== undefined) await this.stop();
    if (step.before !== undefined) await this.type(step.before, {});
    const text = this.#filled(command.text, step);
    if (step.program !== undefined) this.home.program(step.program, `${text}\n`);
    else if (step.daemon === "this") await this.serve(text);
    else if (step.until) {
      await this.#work.begin(text, step.until, step.keys);
      await this.#work.interrupt();
    } else await this.type(text, step);
    if (step.after !== undefined) await this.type(step.after, step.shows ? { shows: step.shows } : {});
    if (step.daemon === "stopped") await this.serve();
  }

  async type(text: string, { typed, shows, ends = 0 }: Step): Promise<void> {
    const shown = await this.#work.run(text, typed);
    this.#shown += `${shown.text}\n`;
    expect([text, shown.code, shown.code === ends ? "" : shown.text]).toEqual([text, ends, ""]);
    if (shows) expect(shown.text).toMatch(shows);
  }

  #filled(text: string, { words = {} }: Step): string {
    return Object.entries(words).reduce((filled, [word, value]) => {
      const found = typeof value === "string" ? value : [...this.#shown.matchAll(value)].at(-1)?.[1];
      if (found === undefined) throw new Error(`nothing shown stands for ${word}: ${this.#shown}`);
      return filled.replaceAll(new RegExp(`(?<![A-Z_])${word}(?![A-Z_])`, "g"), found);
    }, text);
  }
}

const walkers: Walker[] = [
  { name: "root", uid: 0 },
  { name: "nobody", uid: 65_534 },
];

/** A home for all tests of a block, emptied after each. */
function homeOf(walker: Walker, installation: "checkout" | "package"): { home: Home } {
  const made = {} as { home: Home };
  beforeAll(() => {
    made.home = new Home(walker, installation, internet.opener);
  });
  afterEach(async () => {
    await made.home.closeTerminals();
    made.home.empty();
    internet.decision = "allow";
  });
  return made;
}

async function walk(home: Home, document: string): Promise<void> {
  const way = new Way(home, walks[document] ?? { steps: {} });
  await way.prepare();
  for (const command of commandsOf(document)) await way.take(command);
  await way.stop();
}

describe.each(walkers)("as $name, installed from a checkout", (walker) => {
  beforeEach((context) => walker.uid === 0 || needs(context, "other users"));
  const made = homeOf(walker, "checkout");
  beforeAll(async () => {
    const terminal = made.home.terminal(made.home.workFolder);
    const linking = commandsOf("README.md").find(({ text }) => text.startsWith("npm link"));
    const shown = await terminal.run(linking?.text ?? "false");
    expect(shown.code, shown.text).toBe(0);
    await made.home.closeTerminals();
  });

  it.each(walked)("%s", (document) => walk(made.home, document));

  it("a user who errs, declines, and takes their time", async () => {
    const way = new Way(made.home, { steps: {} });
    await way.prepare();
    const [add = "", connect = ""] = walks["docs/tools.md"]?.given ?? [];
    await way.type(add.replace("add github", "add gihtub"), { ends: 1, shows: /github/ });
    await way.type(add, {});
    internet.decision = "deny";
    await way.type(connect, { ends: 21, shows: /not connected/ });
    internet.decision = "allow";
    await way.type(connect, { shows: /Connected/ });
    const read = "nexusd token github >first; sleep 9; nexusd token github >second; ! cmp -s first second";
    await way.type(read, {});
    for (const decision of ["deny", "deny after a refresh"] as const) {
      internet.decision = decision;
      await way.type(connect, { ends: 21, shows: /not connected/ });
    }
    await way.type("nexusd token github --format header | curl -H @- https://api.github.com/user", {
      shows: /"ada"/,
    });
    await way.stop();
  });
});

describe("as nobody, installed from the package", () => {
  beforeEach((context) => needs(context, "other users"));
  const made = homeOf(walkers[1] as Walker, "package");
  it.each(["README.md", "docs/egress.md"])("%s", (document) => walk(made.home, document));
});
