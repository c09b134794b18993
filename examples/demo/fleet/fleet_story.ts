import { setTimeout as sleep } from "node:timers/promises";
import { Browser, consent } from "../../../test/fakes/browser.js";
import type { OpenIdProvider } from "../../../test/fakes/openid_provider.js";
import { DemoFailure } from "../failure.js";
import type { Narrator } from "../narrator.js";
import * as scenes from "../scenes.js";
import type { DemoFleet, DemoHub } from "./demo_fleet.js";
import { FleetAgent } from "./fleet_agent.js";
import * as fleetScenes from "./fleet_scenes.js";

export interface FleetStage {
  readonly fleet: DemoFleet;
  readonly provider: OpenIdProvider;
  readonly tell: Narrator;
  /** Whether the demo plays ada too. */
  readonly auto: boolean;
  readonly signal: AbortSignal;
}

const name = "demo";
const scopes = ["openid", "email"];
const users = ["ada", "grace", "alan"];
/** Each fault comes so long before a refresh that is due. */
const leadMs = 2_000;
const outageSeconds = 6;
/** When the database is back, the hub that led is let go on for so long before another one may take the lead. */
const settledMs = 6_000;

/** Three consents, then whatever may happen to a fleet, while an agent asks for tokens. @throws DemoFailure when a promise is broken */
export async function playFleet(stage: FleetStage): Promise<void> {
  const { fleet, tell } = stage;
  const startedMs = Date.now();
  await registerProvider(stage);
  const connectionIds = await connectAll(stage);
  await fleet.startSpokes(stage.signal);
  tell(fleetScenes.spokesStarted(fleet.spokes));

  const enough = new AbortController();
  const signal = AbortSignal.any([stage.signal, enough.signal]);
  const use = (accessToken: string | undefined) => useToken(stage.provider, accessToken);
  const agent = new FleetAgent(fleet, connectionIds, use, (from, to) =>
    tell(fleetScenes.streamMoved(from, to)),
  );
  const first = await fleet.leader(signal);
  const asking = agent.run(first, signal);
  try {
    tell(fleetScenes.agentStarted(first));
    const revisions = await Promise.race([haveFaults(stage, agent, connectionIds), asking.then(() => 0n)]);
    const events = await judge(stage, connectionIds);
    enough.abort();
    await asking;
    const ends = await fleet.end();
    if (ends.some((how) => how !== "exit code 0")) {
      throw new DemoFailure(`the hubs did not end in good order: ${ends.join(", ")}`);
    }
    tell(fleetScenes.fleetDone(agent.report, revisions, events, Math.round((Date.now() - startedMs) / 1000)));
  } finally {
    enough.abort();
    await asking.catch(() => undefined);
  }
}

/** @returns the revision that every token has in the end */
async function haveFaults(
  stage: FleetStage,
  agent: FleetAgent,
  connectionIds: readonly string[],
): Promise<bigint> {
  const { signal } = stage;
  await killLeader(stage, await agent.holds(1n, signal));
  await stopDatabase(stage, await tellRefreshed(stage, agent, 2n));
  await tellRefreshed(stage, agent, 3n);
  await sleep(settledMs, undefined, { signal });
  await stepDown(stage, connectionIds);
  await tellRefreshed(stage, agent, 4n);
  return 4n;
}

async function killLeader({ fleet, tell, signal }: FleetStage, due: Date): Promise<void> {
  await until(due.getTime() - leadMs, signal);
  const killed = await fleet.leader(signal);
  const startedMs = Date.now();
  await fleet.kill(killed);
  tell(fleetScenes.leaderKilled(killed));
  tell(fleetScenes.leaderChanged(await fleet.leader(signal), secondsSince(startedMs)));
  await fleet.startAgain(killed, signal);
  tell(fleetScenes.hubBack(killed));
}

async function stopDatabase({ fleet, tell, signal }: FleetStage, due: Date): Promise<void> {
  await until(due.getTime() - leadMs, signal);
  fleet.postgres.kill();
  tell(fleetScenes.databaseStopped(outageSeconds));
  await sleep(outageSeconds * 1_000, undefined, { signal });
  await fleet.postgres.start();
  const startedMs = Date.now();
  tell(fleetScenes.databaseStarted(await fleet.leader(signal), secondsSince(startedMs)));
}

/** The lead is given back while the other hubs are asked for refreshes. */
async function stepDown(
  { fleet, tell, signal }: FleetStage,
  connectionIds: readonly string[],
): Promise<void> {
  const leader = await fleet.leader(signal);
  const other = fleet.up.find((hub) => hub !== leader) as DemoHub;
  await other.clients.fleet.stepDown({}, { signal });
  const startedMs = Date.now();
  for (const connectionId of connectionIds)
    await other.clients.tokens.refreshToken({ connectionId }, { signal });
  const milliseconds = Date.now() - startedMs;
  tell(fleetScenes.steppedDown(leader, await fleet.leader(signal), milliseconds));
}

async function tellRefreshed(
  { fleet, tell, signal }: FleetStage,
  agent: FleetAgent,
  revision: bigint,
): Promise<Date> {
  const due = await agent.holds(revision, signal);
  const seconds = Math.round((due.getTime() - Date.now()) / 1_000);
  tell(fleetScenes.refreshed(revision, await fleet.leader(signal), seconds));
  return due;
}

/** What must be true in the end. @returns how many events the audit log has */
async function judge(
  { fleet, provider, signal }: FleetStage,
  connectionIds: readonly string[],
): Promise<bigint> {
  const refused = provider.tokenRequests.filter(({ status }) => status !== 200);
  if (refused.length > 0) {
    throw new DemoFailure(
      `the provider refused ${refused.length} token requests, the first with ${refused[0]?.status}`,
    );
  }
  let events = 0n;
  for (const { clients, name: hub } of fleet.up) {
    for (const connectionId of connectionIds) await clients.tokens.getToken({ connectionId }, { signal });
    const { checked, reason } = await clients.audit.verifyAuditLog({}, { signal });
    if (reason !== "") throw new DemoFailure(`the audit log of hub ${hub} is not whole: ${reason}`);
    events = checked;
  }
  return events;
}

async function registerProvider({ fleet, provider, tell, signal }: FleetStage): Promise<void> {
  const { clientId, clientSecret } = provider.clients.post;
  const { issuer } = provider;
  const [hub] = fleet.up as [DemoHub];
  const { redirectUri } = await hub.clients.providers.createProvider(
    { provider: { name, issuer, enableDiscovery: true, clientId, clientSecret, scopes } },
    { signal },
  );
  provider.addRedirectUri(redirectUri);
  const byHand = fleetScenes.commandAt(hub, `provider show ${name}`);
  tell({ ...scenes.providerRegistered(name, issuer), byHand });
}

/** Asked of one hub after the other. */
async function connectAll({ fleet, tell, auto, signal }: FleetStage): Promise<string[]> {
  const ids: string[] = [];
  for (const [index, userId] of users.entries()) {
    const { connections } = (fleet.up[index] as DemoHub).clients;
    const request = { userId, provider: { case: "providerName", value: name } } as const;
    const { connectionId, authUrl } = await connections.requestConnection(request, { signal });
    const isPersons = index === 0 && !auto;
    if (isPersons) tell(scenes.connectionRequested(name, connectionId, authUrl));
    else await consent(new Browser(), authUrl);
    await hasConsent(fleet.up[index] as DemoHub, connectionId, signal);
    ids.push(connectionId);
  }
  tell(fleetScenes.connected(users));
  return ids;
}

async function hasConsent({ clients }: DemoHub, connectionId: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { connection } = await clients.connections.getConnection({ connectionId }, { signal });
    const word = connection === undefined ? "gone" : scenes.wordOf(connection.status);
    if (word === "active") return;
    if (word !== "pending")
      throw new DemoFailure(`there is no consent: ${connection?.problem?.message ?? word}`);
    await sleep(200, undefined, { signal });
  }
}

/** Any call to the provider's API would do. */
async function useToken(provider: OpenIdProvider, accessToken: string | undefined): Promise<void> {
  const headers = { authorization: `Bearer ${accessToken}` };
  const { ok, status } = await fetch(provider.userinfoEndpoint, { headers });
  if (!ok) throw new DemoFailure(`a gap: the provider does not take the token, and answers ${status}`);
}

async function until(timeMs: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, timeMs - Date.now()), undefined, { signal });
}

function secondsSince(startedMs: number): number {
  return Math.round((Date.now() - startedMs) / 100) / 10;
}
