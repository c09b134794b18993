import type { Language } from "../suites/languages.js";
import type { Results } from "../suites/results.js";
import { type Stage, within } from "../suites/stage.js";
import { AgentProcess } from "./agent_process.js";

/** Longer than the longest backoff, and the start of a virtual machine under load. */
const limitSeconds = 60;

/** What an agent is asked to show, in this order. */
export const checks = ["token", "refresh", "restart", "resume", "kill -9", "api", "refused"] as const;

/** One language through one listener. */
interface Player {
  readonly row: string;
  readonly path: string;
  readonly agent: AgentProcess;
  /** Lines before this one are of the scenes before. */
  mark: number;
}

/** Plays the life of an agent with all of them at once: it is the daemon that restarts, for everybody. */
export async function playAgents(
  stage: Stage,
  languages: readonly Language[],
  results: Results,
): Promise<void> {
  const players = languages.flatMap((language) =>
    listeners(stage).map(({ listener, environment }, index): Player => {
      const path = `/${languages.indexOf(language)}-${index}`;
      const args = ["--call", `${stage.apiUrl}${path}`, stage.first, stage.second];
      return {
        row: `${language.name}, ${listener}`,
        path,
        agent: new AgentProcess(language.run, args, environment),
        mark: 0,
      };
    }),
  );
  const scene = async (check: (typeof checks)[number], play: (player: Player) => Promise<void>) => {
    await Promise.all(players.map((player) => results.check(player.row, check, () => play(player))));
    for (const player of players) player.mark = player.agent.lines.length;
  };
  const sees = ({ agent, mark }: Player, pattern: RegExp) => agent.printed(pattern, mark, limitSeconds);
  const state = (id: string, revision: number) => new RegExp(`^${id}  active  revision ${revision}\\b`);
  const called = (id: string) => new RegExp(`^${id}  API answered 200`);
  /** Only what changed comes over the new stream, be it twice, and no snapshot. */
  const seesOnly = async (player: Player, pattern: RegExp) => {
    await sees(player, pattern);
    const others = player.agent.statesSince(player.mark).filter((line) => !pattern.test(line));
    if (others.length > 0) throw new Error(`it was sent more than what changed:\n${others.join("\n")}`);
  };

  try {
    await scene("token", async (player) => {
      for (const id of [stage.first, stage.second]) {
        await sees(player, state(id, 1));
        await sees(player, called(id));
      }
      await sees(player, /^bookmark \d/);
    });

    let revision = await stage.refresh(stage.first);
    await scene("refresh", async (player) => {
      await sees(player, state(stage.first, revision));
      await sees(player, called(stage.first));
    });

    await stage.endDaemon("SIGTERM");
    for (const player of players) player.mark = player.agent.lines.length;
    await stage.startDaemon();
    await scene("restart", async (player) => {
      await sees(player, /^bookmark \d/);
      // The change before the restart may be sent again, since no bookmark need have come after it; the rest must not.
      const others = player.agent
        .statesSince(player.mark)
        .filter((line) => !state(stage.first, revision).test(line));
      if (others.length > 0) throw new Error(`it had this already:\n${others.join("\n")}`);
    });

    // What changes while it cannot listen is sent when it is back, and nothing else is.
    for (const { agent } of players) agent.signal("SIGSTOP");
    await stage.endDaemon("SIGTERM");
    await stage.startDaemon();
    revision = await stage.refresh(stage.second);
    for (const { agent } of players) agent.signal("SIGCONT");
    await scene("resume", async (player) => {
      await seesOnly(player, state(stage.second, revision));
      await sees(player, called(stage.second));
      await sees(player, /^bookmark \d/);
    });

    await stage.endDaemon("SIGKILL");
    await stage.startDaemon();
    revision = await stage.refresh(stage.first);
    await scene("kill -9", async (player) => {
      await seesOnly(player, state(stage.first, revision));
      await sees(player, called(stage.first));
    });

    await scene("api", async ({ path }) => {
      // Two tokens at first, and one after each of the three refreshes.
      const answers = stage.apiAnswers.get(path) ?? [];
      if (answers.join() !== "200,200,200,200,200") throw new Error(`the API answered ${answers.join()}`);
    });
  } finally {
    for (const { agent } of players) agent.signal("SIGKILL");
    await Promise.all(players.map(({ agent }) => agent.exited));
  }
  await Promise.all(languages.map((language) => playRefusals(stage, language, results)));
}

/** What no other attempt fixes ends the agent: an id that is none, and a key that the daemon does not know. */
async function playRefusals(stage: Stage, language: Language, results: Results): Promise<void> {
  for (const { listener, environment } of listeners(stage)) {
    await results.check(`${language.name}, ${listener}`, "refused", async () => {
      const wrong =
        listener === "unix" ? { args: ["no-uuid"] } : { args: [], NEXUS_API_KEY_FILE: stage.wrongKeyFile };
      const { args, ...key } = wrong;
      const agent = new AgentProcess(language.run, args, { ...environment, ...key });
      try {
        const code = await within(limitSeconds, "it gives up", agent.exited);
        if (code !== 1) throw new Error(`it ended with ${code}:\n${agent.lines.join("\n")}`);
        if (agent.lines.some((line) => /stream (ended|broke off)/.test(line))) {
          throw new Error(`it tried again:\n${agent.lines.join("\n")}`);
        }
      } finally {
        agent.signal("SIGKILL");
      }
    });
  }
}

export function listeners(stage: Stage): { listener: "unix" | "tcp"; environment: NodeJS.ProcessEnv }[] {
  return [
    { listener: "unix", environment: { NEXUS_ADDRESS: stage.unixAddress } },
    {
      listener: "tcp",
      environment: { NEXUS_ADDRESS: stage.place.httpUrl, NEXUS_API_KEY_FILE: stage.keyFile },
    },
  ];
}
