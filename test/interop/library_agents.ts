import type { Language } from "../suites/languages.js";
import type { Results } from "../suites/results.js";
import { type Stage, within } from "../suites/stage.js";
import { AgentProcess } from "./agent_process.js";
import { listeners } from "./scenario.js";

const limitSeconds = 60;
const names = ["first/ada", "second/ada"];

/** One language through one listener. */
interface Player {
  readonly row: string;
  readonly agent: AgentProcess;
}

/**
 * Plays the life of the example agents that use a client library: they call an API that takes nothing but the newest token, and say so
 * by name, revision and status. What a library does beyond that is for `npm run test:clients`.
 */
export async function playLibraryAgents(
  stage: Stage,
  languages: readonly Language[],
  results: Results,
): Promise<void> {
  const players = languages.flatMap((language, index) =>
    listeners(stage).map(({ listener, environment }): Player => {
      const args = ["--call", `${stage.apiUrl}/library-${index}-${listener}`, ...names];
      return {
        row: `${language.name}, ${listener}`,
        agent: new AgentProcess(language.run, args, environment),
      };
    }),
  );
  const scene = (check: string, play: (agent: AgentProcess) => Promise<void>) =>
    Promise.all(players.map(({ row, agent }) => results.check(row, check, () => play(agent))));
  const called = (name: string, revision: number) =>
    new RegExp(`^${name}  revision ${revision}  API answered 200$`);
  const sees = (revision: number) => (agent: AgentProcess) =>
    agent.printed(called("first/ada", revision), 0, limitSeconds);

  try {
    await scene("token", async (agent) => {
      for (const name of names)
        await agent.printed(new RegExp(`^${name}  revision \\d+  API answered 200$`), 0, limitSeconds);
    });
    await scene("refresh", sees(await stage.refresh(stage.first)));
    for (const [check, signal] of [
      ["restart", "SIGTERM"],
      ["kill -9", "SIGKILL"],
    ] as const) {
      await stage.endDaemon(signal);
      await stage.startDaemon();
      await scene(check, sees(await stage.refresh(stage.first)));
    }
    await scene("api", async (agent) => {
      const others = agent.lines.filter((line) => !/API answered 200$/.test(line));
      if (others.length > 0) throw new Error(`it printed:\n${others.join("\n")}`);
    });
  } finally {
    for (const { agent } of players) agent.signal("SIGKILL");
    await Promise.all(players.map(({ agent }) => agent.exited));
  }
  await Promise.all(languages.map((language) => playRefusals(stage, language, results)));
}

/** What no other attempt fixes ends the agent: a provider that does not exist, and a key that the daemon does not know. */
async function playRefusals(stage: Stage, language: Language, results: Results): Promise<void> {
  for (const { listener, environment } of listeners(stage)) {
    await results.check(`${language.name}, ${listener}`, "refused", async () => {
      const isUnix = listener === "unix";
      const args = ["--call", stage.apiUrl, isUnix ? "no-such-provider/ada" : "first/ada"];
      const key = isUnix ? {} : { NEXUS_API_KEY_FILE: stage.wrongKeyFile };
      const agent = new AgentProcess(language.run, args, { ...environment, ...key });
      try {
        const code = await within(limitSeconds, "it gives up", agent.exited);
        if (code !== 1) throw new Error(`it ended with ${code}:\n${agent.lines.join("\n")}`);
      } finally {
        agent.signal("SIGKILL");
      }
    });
  }
}
