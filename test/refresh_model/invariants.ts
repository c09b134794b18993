import type { Connection } from "../../src/model/connections/connection.js";
import type { World } from "./world.js";

const reasons = new Set([
  "reauth_required",
  "consent_revoked",
  "outcome_unknown",
  "provider_deleted",
  "misconfigured",
  "refresh_refused",
]);

/** Everything that is wrong in the world as it stands still; I1, I2 and I7 are watched by the provider at every request. */
export function findViolations(world: World): string[] {
  const found = [...world.violations, ...world.server.violations];
  for (const { id, holder } of world.connections) {
    const connection = world.life.store.getConnection(id);
    const violations = connection ? violationsOf(world, connection, holder) : [];
    found.push(...Array.from(violations, (text) => `${text} (${id})`));
    found.push(...Array.from(followed(world, id, holder), (text) => `${text} at the follower (${id})`));
  }
  found.push(...lostImports(world));
  return found;
}

/** What an import redeemed is in the store, or held for it. */
function* lostImports({ imports, server, life }: World): Generator<string> {
  for (const [userId, { token, id = userId, isSeen }] of imports) {
    const isKept = isSeen || life.store.getConnection(id) !== undefined;
    const isUnderWay = server.inFlightOf(userId) + server.inFlightOf(id) + life.domain.spool.heldCount > 0;
    if (!isKept && !isUnderWay && server.isRedeemed(token) && !server.isLost(token))
      yield `I12: the successor of the imported ${token} came, and was not kept`;
  }
}

function* violationsOf(world: World, connection: Connection, holder: string): Generator<string> {
  const { server, life } = world;
  const { id, status, problem } = connection;
  const view = life.domain.reader.view(id);
  if (view?.problem?.reason === "data_loss") yield "I3: the stored token set does not open";
  const accessToken = view?.token?.credentials["access_token"];
  if (accessToken !== undefined && server.holderOf(accessToken) !== holder) yield "I3: shows a foreign token";
  if (view?.token && view.token.revision < (world.shown.get(id) ?? 0n)) yield "I3: an older token is shown";
  if (view?.token?.expiresAtMs !== undefined && view.token.expiresAtMs <= world.clock.nowMs()) {
    yield "I3: a dead token is shown";
  }

  const token = world.refreshTokenOf(id);
  if (status === "active" && token !== undefined && server.isRedeemed(token) && !server.isLost(token)) {
    const isHeld = life.domain.spool.heldCount > 0;
    const isOnItsWay = isHeld || world.fleet?.isHeldElsewhere(connection.refreshIntent?.owner) === true;
    if (server.inFlightOf(id) === 0 && !isOnItsWay)
      yield `I4: the successor of ${token} came, and was not kept`;
  }
  const intent = connection.refreshIntent;
  if (token !== undefined && intent?.credentialRevision === connection.credentialRevision) {
    const sent = server.timesArrived(token) + world.unsentOf(token);
    if (intent.sends > sent) yield `I14: ${intent.sends} attempts of ${token} count, and ${sent} were sent`;
  }
  if (problem?.reason === "misconfigured" && !mayWait(world, connection, holder)) {
    yield "I8: misconfigured, but the client was refused for one other connection at most";
  }
  if (status !== "attention") return;
  const reason = problem?.reason ?? "nothing";
  const isRobot = holder !== id;
  if (isRobot && reason !== "misconfigured" && reason !== "provider_deleted") {
    yield `I9: ${reason}, and there is nobody to ask`;
  }
  if (!reasons.has(reason)) yield `I6: attention for ${reason}`;
  if (token === undefined) return;
  const refused = reason === "reauth_required" || reason === "consent_revoked";
  if (refused && !server.isCondemned(token) && server.timesRefused(token) < 4)
    yield `I5: ${reason}, but nobody refused ${token}`;
  if (refused && server.isLost(token)) yield `I6: ${reason}, but the answer to ${token} was lost`;
  if (reason === "refresh_refused" && server.timesRefused(token) < 4) {
    yield `I5: refresh_refused, but ${token} was not refused time and again`;
  }
  if (reason === "outcome_unknown" && server.timesPresented(token) + world.unsentOf(token) < 2) {
    yield `I2: outcome_unknown without a probe of ${token}`;
  }
}

/** What the hub that follows shows, which has what the log has, and is no further than the leader. */
function* followed(world: World, id: string, holder: string): Generator<string> {
  const follower = world.fleet?.follower;
  if (!follower) return;
  const revision = follower.store.getConnection(id)?.credentialRevision ?? 0n;
  if (revision !== (world.life.store.getConnection(id)?.credentialRevision ?? 0n))
    yield "I11: another revision than at the leader";
  const token = follower.domain.reader.view(id)?.token;
  const accessToken = token?.credentials["access_token"];
  if (accessToken !== undefined && world.server.holderOf(accessToken) !== holder) yield "I3: a foreign token";
  if (token?.expiresAtMs !== undefined && token.expiresAtMs <= world.clock.nowMs()) yield "I3: a dead token";
}

/** A connection waits for its client when it was refused itself, or when two others were. */
function mayWait({ server }: World, { providerName }: Connection, holder: string): boolean {
  const holders = server.clientRefusals(providerName);
  return holders.has(holder) || holders.size > 1;
}

/**
 * When the providers are calm and time has passed: each connection whose grant lives is active and was refreshed; what is not, lost
 * its grant in a way that is said.
 */
export function findLosses(world: World): string[] {
  const found: string[] = [];
  for (const { id, holder } of world.connections) {
    const connection = world.life.store.getConnection(id);
    if (connection && holder !== id) {
      found.push(...lossesOfRobot(world, connection));
      continue;
    }
    if (!connection || connection.credentialRevision === 0n || connection.status === "revoked") continue;
    if (!world.life.store.getProvider(connection.providerId)) continue;
    const token = world.refreshTokenOf(id);
    if (token === undefined) continue;
    const { status, problem } = connection;
    const lives = world.server.isGood(token);
    // A crash before anything was sent cannot be told from a lost answer, and two of these are one too many.
    const violations = world.violationsOf(token);
    const refusals = world.server.timesRefused(token);
    const isUnknown =
      problem?.reason === "outcome_unknown" && (violations >= 2 || (violations > 0 && refusals > 0));
    // A provider that refuses one connection time and again, and others not, has said enough.
    const doubtful = isUnknown || refusals >= 4;
    if (lives && status !== "active" && !doubtful) found.push(`lost: ${id} is ${status}, ${problem?.reason}`);
    if (lives && status === "active" && problem !== undefined) found.push(`stuck: ${id}, ${problem.reason}`);
    if (!lives && status === "active" && !isFresh(world, connection)) found.push(`unnoticed: ${id}`);
  }
  return found;
}

/** Where no person is needed, calm is all that it takes: a token that lives, and nothing to say. */
function lossesOfRobot(world: World, { id, status, problem, providerId }: Connection): string[] {
  if (status === "revoked" || !world.life.store.getProvider(providerId)) return [];
  const token = world.life.domain.reader.view(id)?.token;
  const isWell = status === "active" && problem === undefined && token !== undefined;
  return isWell
    ? []
    : [`lost: ${id} is ${status}, ${problem?.reason}, ${token ? "with" : "without"} a token`];
}

/** A grant that ended since its last refresh is not known to have ended. */
function isFresh(world: World, connection: Connection): boolean {
  return (connection.refreshNotBeforeMs ?? Number.POSITIVE_INFINITY) > world.clock.nowMs();
}
