import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../../suites/building.js";
import { commandOf } from "../manifests.js";
import { type Case, must, until } from "../scene.js";

/** Longer than a compiler takes on a laden machine. */
const maxSeconds = 90;

/** The first block of the README as it stands. */
export const snippet: readonly Case[] = [
  {
    name: "five lines",
    play: async ({ world, library: { folder, snippet } }) => {
      const readme = readFileSync(join(folder, "README.md"), "utf8");
      const block = new RegExp(`^\`\`\`${snippet.block}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(readme)?.[1];
      must(block !== undefined, `README.md has no block of ${snippet.block}`);
      const file = join(folder, snippet.file);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, block);
      await world.register({ name: "github" });
      const environment = { NEXUS_ADDRESS: world.unixAddress, NEXUS_DATA_DIR: "", NEXUS_API_KEY_FILE: "" };
      const command = commandOf(folder, snippet.run);
      const ended = run({ cwd: folder, command, environment }, maxSeconds);
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
    },
  },
];
