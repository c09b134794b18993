import { nexusd, type Scene } from "../narrator.js";
import type { DemoHub } from "./demo_fleet.js";
import type { AgentReport } from "./fleet_agent.js";

export function fleetStarted(hubs: readonly DemoHub[], leader: DemoHub, databaseFolder: string): Scene {
  return {
    record: {
      step: "fleet_started",
      database: databaseFolder,
      hubs: hubs.map(({ daemon }) => daemon.dataDir),
      leader: leader.name,
    },
    headline: `Started PostgreSQL and three hubs: ${hubs.map(({ name }) => name).join(", ")}. ${leader.name} leads`,
    why: [
      "They share one store. Each has a whole copy of it and answers reads; the one that leads writes and refreshes.",
      `Look in from another terminal, in this folder: ${commandAt(leader, "fleet")}`,
    ],
    byHand: "nexusd fleet init, then on each machine: NEXUS_FLEET_LISTEN=... nexusd serve",
  };
}

export function connected(users: readonly string[]): Scene {
  return {
    record: { step: "connected", users },
    headline: `${users.join(", ")} gave their consents`,
    why: ["Each request of their browsers went to another hub, as behind a load balancer."],
  };
}

export function spokesStarted(spokes: readonly DemoHub[]): Scene {
  return {
    record: { step: "spokes_started", spokes: spokes.map(({ daemon }) => daemon.dataDir) },
    headline: "Started two spokes, as they stand in the pods of agents",
    why: ["A spoke has a copy of the tokens that its identity may see, no refresh token, and no database."],
    byHand: "NEXUS_UPSTREAM=https://hub,... NEXUS_UPSTREAM_TOKEN_FILE=... nexusd serve",
  };
}

export function agentStarted(hub: DemoHub): Scene {
  return {
    record: { step: "agent_started", hub: hub.name },
    headline: "An agent asks for each token five times a second, and uses it at the provider",
    why: [
      `It takes hubs and spokes in turn, and goes on to the next where one is silent. It also holds a stream, at hub ${hub.name}.`,
      "If it is once without a token that the provider takes, this demo ends with 1.",
    ],
  };
}

export function refreshed(revision: bigint, by: DemoHub, seconds: number): Scene {
  return {
    record: { step: "refreshed", revision: Number(revision), leader: by.name },
    headline: `Refreshed by hub ${by.name}: every token is of revision ${revision}`,
    why: [`The agent's stream brought it. The next refresh is due in ${seconds} s.`],
  };
}

export function leaderKilled(hub: DemoHub): Scene {
  return {
    record: { step: "leader_killed", hub: hub.name },
    headline: `SIGKILL for hub ${hub.name}, which leads, 2 s before a refresh is due`,
    why: ["It had no time for anything. Its lease runs out by itself."],
    byHand: "kill -9 PID",
  };
}

export function leaderChanged(hub: DemoHub, seconds: number): Scene {
  return {
    record: { step: "leader_changed", leader: hub.name, seconds },
    headline: `Hub ${hub.name} leads, ${seconds} s later`,
    why: ["It had everything already: what was acknowledged is in PostgreSQL, and in the copy of every hub."],
    byHand: commandAt(hub, "fleet"),
  };
}

export function streamMoved(from: DemoHub, to: DemoHub): Scene {
  return {
    record: { step: "stream_moved", from: from.name, to: to.name },
    headline: `The agent's stream at hub ${from.name} ended; it goes on at hub ${to.name} where it stood`,
    why: ["A position means the same at every hub: nothing is missed, and there is no snapshot."],
  };
}

export function hubBack(hub: DemoHub): Scene {
  return {
    record: { step: "hub_back", hub: hub.name },
    headline: `Hub ${hub.name} was started again and follows`,
    why: ["It had its copy on disk, and read on from where that ends."],
  };
}

export function hubBegunAnew(hub: DemoHub): Scene {
  return {
    record: { step: "hub_begun_anew", hub: hub.name },
    headline: `Hub ${hub.name} ended with exit code 75, and was started again`,
    why: ["A hub that lost its lead begins anew as a follower; systemd or Kubernetes starts it."],
  };
}

export function databaseStopped(seconds: number): Scene {
  return {
    record: { step: "database_stopped", seconds },
    headline: `SIGKILL for PostgreSQL, 2 s before a refresh is due, for ${seconds} s`,
    why: [
      "Every hub goes on from its copy. Nothing can be made durable, so nothing is sent to the provider.",
    ],
  };
}

export function databaseStarted(leader: DemoHub, seconds: number): Scene {
  return {
    record: { step: "database_started", leader: leader.name, seconds },
    headline: `PostgreSQL runs again. Hub ${leader.name} leads, ${seconds} s later`,
  };
}

export function steppedDown(from: DemoHub, to: DemoHub, milliseconds: number): Scene {
  return {
    record: { step: "stepped_down", from: from.name, leader: to.name, milliseconds },
    headline: `Hub ${from.name} gave the lead to hub ${to.name}: a refresh asked for meanwhile took ${milliseconds} ms`,
    why: ["So it is before maintenance, and at each SIGTERM: whoever asks waits for the next leader."],
    byHand: commandAt(to, "fleet step-down"),
  };
}

export function fleetDone(report: AgentReport, revisions: bigint, events: bigint, seconds: number): Scene {
  const { asks, detours } = report;
  const slowestMs = Math.round(report.slowestMs);
  return {
    record: {
      step: "done",
      asks,
      gaps: 0,
      detours,
      slowest_ms: slowestMs,
      revisions: Number(revisions),
      grants_lost: 0,
      audit_events: Number(events),
      seconds,
    },
    headline: `Done, in ${seconds} s: ${asks} tokens asked for, no gap, no grant lost`,
    why: [
      `The slowest answer took ${slowestMs} ms; ${detours} times one was silent and the next one answered.`,
      `The audit log is one unbroken chain of ${events} events, the same at every hub.`,
      "All hubs and spokes ended in good order and their folders are gone. Next: docs/fleet.md.",
    ],
  };
}

/** A command for one hub. */
export function commandAt({ daemon }: DemoHub, words: string): string {
  return `NEXUS_DATA_DIR=${daemon.dataDir} ${nexusd} ${words}`;
}
