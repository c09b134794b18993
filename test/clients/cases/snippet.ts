import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../../suites/building.js";
import { commandOf } from "../manifests.js";
import { type Case, must, until } from "../scene.js";
import type { ClientWorld } from "../world.js";

/** Longer than a compiler takes on a laden machine. */
const maxSeconds = 90;

/** The first block of a README. @param language the info string of its fence */
export function firstBlock(readme: string, language: string): string {
  const block = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(
    readFileSync(readme, "utf8"),
  )?.[1];
  must(block !== undefined, `${readme} has no block of ${language}`);
  return block;
}

/** Runs the program of a README, which waits for a consent of ada at github, consents, and reads what it prints. */
export async function playSnippet(
  world: ClientWorld,
  cwd: string,
  command: readonly string[],
): Promise<void> {
  await world.register({ name: "github" });
  const environment = { NEXUS_ADDRESS: world.unixAddress, NEXUS_DATA_DIR: "", NEXUS_API_KEY_FILE: "" };
  const ended = run({ cwd, command, environment }, maxSeconds);
  let end: Awaited<typeof ended> | undefined;
  void ended.then((result) => {
    end = result;
  });
  // Only the daemon knows the link while the program runs: the same one for everybody.
  await until(
    "the program asks for a consent",
    async () => {
      if (end) throw new Error(`it ended with ${end.code} before a consent:\n${end.output}`);
      const { connections } = await world.clients.connections.listConnections({ userId: "ada" });
      return connections.find(({ providerName }) => providerName === "github");
    },
    maxSeconds,
  );
  const { result } = await world.clients.tokens.acquireToken({ providerName: "github", userId: "ada" });
  must(result.case === "consent", "there is a token before the consent");
  await world.consent(result.value.authUrl);
  const { code, output } = await ended;
  must(code === 0, `it ended with ${code}:\n${output}`);
  must(output.includes(result.value.authUrl), `it did not print the link:\n${output}`);
  must(/revision 1\b/.test(output), `it did not print the revision:\n${output}`);
}

/** The first block of the README as it stands. */
export const snippet: readonly Case[] = [
  {
    name: "five lines",
    play: async ({ world, library: { folder, snippet } }) => {
      const file = join(folder, snippet.file);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, firstBlock(join(folder, "README.md"), snippet.block));
      await playSnippet(world, folder, commandOf(folder, snippet.run));
    },
  },
];
