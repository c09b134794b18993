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
      "The hubs share one store. Each has a full copy and answers reads. The leader writes and refreshes.",
      `To watch them, run this in another terminal, in this folder: ${commandAt(leader, "fleet")}`,
    ],
    byHand: "nexusd fleet init, then on each machine: NEXUS_FLEET_LISTEN=... nexusd serve",
  };
}

export function connected(users: readonly string[]): Scene {
  return {
    record: { step: "connected", users },
    headline: `${users.join(", ")} gave their consents`,
    why: ["Each request of their browsers went to a different hub, as behind a load balancer."],
  };
}

export function spokesStarted(spokes: readonly DemoHub[]): Scene {
  return {
    record: { step: "spokes_started", spokes: spokes.map(({ daemon }) => daemon.dataDir) },
    headline: "Started two spokes, as they run in the pods of agents",
    why: [
      "A spoke has a copy of the tokens that its identity may see. It has no refresh token and no database.",
    ],
    byHand: "NEXUS_UPSTREAM=https://hub,... NEXUS_UPSTREAM_TOKEN_FILE=... nexusd serve",
  };
}

export function agentStarted(hub: DemoHub): Scene {
  return {
    record: { step: "agent_started", hub: hub.name },
    headline: "An agent asks for each token five times a second, and uses it at the provider",
    why: [
      `It asks hubs and spokes in turn, and tries the next one if one does not answer. It also has a stream open at hub ${hub.name}.`,
      "If it is ever without a token that the provider accepts, this demo fails with exit code 1.",
    ],
  };
}

export function refreshed(revision: bigint, by: DemoHub, seconds: number): Scene {
  return {
    record: { step: "refreshed", revision: Number(revision), leader: by.name },
    headline: `Refreshed by hub ${by.name}: every token now has revision ${revision}`,
    why: [`The agent received it on its stream. The next refresh is due in ${seconds} s.`],
  };
}

export function leaderKilled(hub: DemoHub): Scene {
  return {
    record: { step: "leader_killed", hub: hub.name },
    headline: `SIGKILL for hub ${hub.name}, which leads, 2 s before a refresh is due`,
    why: ["It could not release its lease, so another hub leads only when the lease has expired."],
    byHand: "kill -9 PID",
  };
}

export function leaderChanged(hub: DemoHub, seconds: number): Scene {
  return {
    record: { step: "leader_changed", leader: hub.name, seconds },
    headline: `Hub ${hub.name} leads, ${seconds} s later`,
    why: [
      "It lost nothing: everything that was acknowledged is in PostgreSQL, and in the copy of every hub.",
    ],
    byHand: commandAt(hub, "fleet"),
  };
}

export function streamMoved(from: DemoHub, to: DemoHub): Scene {
  return {
    record: { step: "stream_moved", from: from.name, to: to.name },
    headline: `The agent's stream at hub ${from.name} ended, and continued at hub ${to.name} from the same position`,
    why: ["A position means the same at every hub, so the agent misses nothing and needs no new snapshot."],
  };
}

export function hubBack(hub: DemoHub): Scene {
  return {
    record: { step: "hub_back", hub: hub.name },
    headline: `Hub ${hub.name} was restarted and follows the leader`,
    why: ["It has its copy on disk, and reads only what came after it."],
  };
}

export function hubBegunAnew(hub: DemoHub): Scene {
  return {
    record: { step: "hub_begun_anew", hub: hub.name },
    headline: `Hub ${hub.name} ended with exit code 75, and was restarted`,
    why: [
      "A hub that is no longer the leader exits, and restarts as a follower. In production, systemd or Kubernetes restarts it.",
    ],
  };
}

export function databaseStopped(seconds: number): Scene {
  return {
    record: { step: "database_stopped", seconds },
    headline: `SIGKILL for PostgreSQL, 2 s before a refresh is due, for ${seconds} s`,
    why: [
      "Every hub serves tokens from its copy. Nothing can be stored safely, so no refresh is sent to the provider.",
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
    headline: `Hub ${from.name} handed the lead to hub ${to.name}: a refresh that was requested meanwhile took ${milliseconds} ms`,
    why: ["Do this before maintenance. It also happens at each SIGTERM: requests wait for the next leader."],
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
    headline: `Done, in ${seconds} s: ${asks} token requests, no gap, no grant lost`,
    why: [
      `The slowest answer took ${slowestMs} ms. ${detours} times a hub or spoke did not answer, and the next one did.`,
      `The audit log is one unbroken chain of ${events} events, the same at every hub.`,
      "All hubs and spokes have shut down, and their folders are deleted. Next: docs/fleet.md.",
    ],
  };
}

/** A command for one hub. */
export function commandAt({ daemon }: DemoHub, words: string): string {
  return `NEXUS_DATA_DIR=${daemon.dataDir} ${nexusd} ${words}`;
}
