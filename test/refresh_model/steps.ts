import fc from "fast-check";
import type { CurrentToken } from "../../src/domain/connections/credential_reader.js";
import { owner } from "../../src/model/access/principal.js";
import { type Answer, answers } from "../fakes/hostile_server.js";
import type { Ending } from "./fleet.js";
import type { Trap } from "./life.js";
import { type ProviderName, providerNames, type World } from "./world.js";

/** Something that happens to the daemon. `at` names a connection by its place; it wraps around. */
export type Step =
  | { readonly do: "connect"; readonly provider: ProviderName }
  | { readonly do: "reconsent"; readonly at: number; readonly outcome: "given" | "denied" | "abandoned" }
  | { readonly do: "get" | "force" | "downscope" | "revoke" | "delete" | "withdraw"; readonly at: number }
  | { readonly do: "report"; readonly at: number; readonly behind: number; readonly error: string }
  | { readonly do: "script"; readonly provider: ProviderName; readonly answers: readonly Answer[] }
  | {
      readonly do: "unopened";
      readonly provider: ProviderName;
      readonly endings: readonly ("refuse" | "hang")[];
    }
  | { readonly do: "refuse_client"; readonly provider: ProviderName; readonly refuses: boolean }
  | { readonly do: "lose_answers"; readonly provider: ProviderName; readonly loses: boolean }
  | { readonly do: "blame_client" | "forgive" | "new_nonce"; readonly provider: ProviderName }
  | { readonly do: "edit_profile" | "delete_profile" | "recreate_profile"; readonly provider: ProviderName }
  | { readonly do: "wait" | "jump"; readonly byMs: number }
  | { readonly do: "trap"; readonly kind: Trap; readonly after: number }
  | { readonly do: "import" }
  | { readonly do: "refuse_commits"; readonly times: number }
  | { readonly do: "crash" | "restart" | "release" }
  /** `at`: while the answer to a refresh of that connection is on its way. */
  | { readonly do: "change_leader"; readonly how: Ending; readonly at?: number | undefined }
  | { readonly do: "resume" }
  | { readonly do: "get_following" | "force_following"; readonly at: number };

const minuteMs = 60_000;
const at = fc.nat(5);
const provider = fc.constantFrom(...providerNames);

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("refuse_commits" as const),
      times: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("connect" as const), provider }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("reconsent" as const),
      at,
      outcome: fc.constantFrom("given" as const, "given" as const, "denied" as const, "abandoned" as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom("get" as const, "force" as const, "downscope" as const), at }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("report" as const),
      at,
      behind: fc.constantFrom(0, 0, 1, 2),
      error: fc.constantFrom("invalid_token", "invalid_token", "insufficient_scope"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("revoke" as const, "delete" as const, "withdraw" as const),
      at,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("script" as const),
      provider,
      answers: fc.array(fc.constantFrom(...answers), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("unopened" as const),
      provider,
      endings: fc.array(fc.constantFrom("refuse" as const, "hang" as const, "hang" as const), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("refuse_client" as const), provider, refuses: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("lose_answers" as const), provider, loses: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("blame_client" as const, "forgive" as const), provider }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("new_nonce" as const), provider }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "edit_profile" as const,
        "edit_profile" as const,
        "delete_profile" as const,
        "recreate_profile" as const,
      ),
      provider,
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      byMs: fc.constantFrom(
        1_000,
        10_000,
        2 * minuteMs,
        5 * minuteMs,
        54 * minuteMs,
        56 * minuteMs,
        61 * minuteMs,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("jump" as const),
      byMs: fc.constantFrom(-24 * 60 * minuteMs, 24 * 60 * minuteMs, -90_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("trap" as const),
      kind: fc.constantFrom<Trap>(
        "before_connect",
        "before_mark",
        "before_commit",
        "after_commit",
        "before_send",
        "after_answer",
        "before_publish",
      ),
      after: fc.nat(3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("crash" as const, "restart" as const, "release" as const),
    }),
  },
);

/** Of one daemon: another system's token, which nobody else can bring. */
export const anyLoneStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: anyStep },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("import" as const) }) },
);

/** The same of two hubs. */
export const anyFleetStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: anyStep },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("change_leader" as const),
      how: fc.constantFrom<Ending>("ended", "killed", "stopped", "stopped", "cut"),
      at: fc.option(at, { nil: undefined, freq: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resume" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("get_following" as const, "force_following" as const),
      at,
    }),
  },
);

/** Does a step and lets everything come to rest. What callers get is looked at, not waited for. */
export async function apply(world: World, step: Step): Promise<void> {
  await perform(world, step);
  await world.settle();
  world.adopt();
}

async function perform(world: World, step: Step): Promise<void> {
  const { life, clock } = world;
  switch (step.do) {
    case "connect":
      if (step.provider === "robots") return detach(world.connectRobot());
      return detach(
        life.domain.consentOf(step.provider, undefined, "given", (id) =>
          world.connections.push({ id, provider: step.provider, holder: id }),
        ),
      );
    case "import":
      return detach(world.importToken("north"));
    case "script":
      return world.script(step.provider, step.answers);
    case "unopened":
      return void world.server.unopened.set(step.provider, [...step.endings]);
    case "refuse_client":
      return world.refuseClient(step.provider, step.refuses);
    case "lose_answers":
      return world.loseAnswers(step.provider, step.loses);
    case "blame_client":
      world.server.blamesClient.add(step.provider);
      return;
    case "forgive":
      world.server.forgives.add(step.provider);
      return;
    case "new_nonce":
      return world.server.proofs.renew(step.provider);
    case "edit_profile":
    case "delete_profile":
      return detach(changeProfile(world, step.provider, step.do === "delete_profile"));
    case "recreate_profile":
      return detach(world.recreate(step.provider));
    case "wait":
      world.forgetAnswers(step.byMs);
      return clock.advance(step.byMs);
    case "jump":
      world.forgetAnswers(Math.max(0, step.byMs) + 30_000);
      clock.jump(step.byMs);
      return clock.advance(30_000);
    case "trap":
      return world.setTrap(step.kind, step.after);
    case "refuse_commits":
      life.refusals = step.times;
      return;
    case "crash":
      return await world.crash();
    case "restart":
      return await world.restart();
    case "release":
      return world.server.release();
    case "change_leader":
      return await changeLeader(world, step);
    case "resume":
      return await world.resume();
  }
  const connection = world.connections[step.at % Math.max(1, world.connections.length)];
  if (!connection) return;
  const { id } = connection;
  const showTaken = async (token: CurrentToken | Promise<CurrentToken>): Promise<void> =>
    show(world, id, (await token).revision);
  const follower = world.fleet?.follower?.domain.tokens;
  switch (step.do) {
    case "get_following":
      return follower && detach(showTaken(follower.getToken(id, 0, owner)));
    case "force_following":
      return follower && detach(showTaken(follower.refreshToken(id, owner)));
    case "get":
      return detach(showTaken(life.domain.tokens.getToken(id, 0, owner)));
    case "force":
      return detach(showTaken(life.domain.tokens.refreshToken(id, owner)));
    case "downscope":
      return detach(downscope(world, id, connection.holder));
    case "report":
      return detach(report(world, id, step));
    case "revoke":
      return detach(life.domain.connections.revoke(id, owner));
    case "delete":
      return detach(life.domain.connections.delete(id, owner));
    case "withdraw":
      return world.server.revoke(id);
    case "reconsent":
      if (connection.provider === "robots") return detach(world.connectRobot(id));
      return detach(life.domain.consentOf(connection.provider, id, step.outcome));
  }
}

async function changeLeader(
  world: World,
  { how, at }: Extract<Step, { do: "change_leader" }>,
): Promise<void> {
  const connection =
    at === undefined ? undefined : world.connections[at % Math.max(1, world.connections.length)];
  if (connection && world.fleet) {
    await world.resume();
    world.answerNext(connection.provider, "slow");
    detach(world.life.domain.tokens.refreshToken(connection.id, owner));
    await world.settle();
  }
  await world.changeLeader(how);
}

/** A sub-agent asks for less than the connection may: the token is the same person's, and ends with its subject at the latest. */
async function downscope(world: World, id: string, holder: string): Promise<void> {
  const { life } = world;
  const asked = { audience: "sub-agent", resource: "", scopes: [] };
  const token = await life.domain.downscoped.get(id, asked, 0, owner);
  const { credentials, expiresAtMs = Number.POSITIVE_INFINITY, revision } = token;
  const connection = life.store.getConnection(id);
  if (world.server.holderOf(credentials["access_token"] ?? "") !== holder)
    world.violations.push(`I10: ${id} was given a downscoped token of somebody else`);
  if (
    connection?.credentialRevision === revision &&
    expiresAtMs > (connection.expiresAtMs ?? Number.POSITIVE_INFINITY)
  )
    world.violations.push(`I10: ${id} was given a downscoped token that outlives its own`);
  if (connection?.status === "revoked")
    world.violations.push(`I10: ${id} is revoked and was given a downscoped token`);
}

/** An agent says that an API refused the newest revision, or one before it. */
async function report(
  world: World,
  id: string,
  { behind, error }: Extract<Step, { do: "report" }>,
): Promise<void> {
  const { life } = world;
  const current = life.store.getConnection(id)?.credentialRevision ?? 0n;
  const revision = current - BigInt(behind);
  if (revision < 1n) return;
  const token = { connectionId: id, revision, status: 401, wwwAuthenticate: `Bearer error="${error}"` };
  const answer = await life.domain.rejected.report(token, owner);
  if (behind > 0 && answer.outcome !== "superseded")
    world.violations.push(`I9: ${id} acted on a late report`);
  const isNewer = answer.revision > revision;
  if (answer.outcome !== "scopes_missing" && !isNewer) {
    world.violations.push(
      `I9: ${id} answered a report of ${revision} with ${answer.outcome} ${answer.revision}`,
    );
  }
  show(world, id, answer.revision);
}

/** Callers are refused for many reasons; what they must never see is found by the invariants. */
function detach(call: Promise<unknown>): void {
  call.catch(() => undefined);
}

function show(world: World, id: string, revision: bigint): void {
  const before = world.shown.get(id) ?? 0n;
  if (revision < before) world.violations.push(`I3: ${id} went back from revision ${before} to ${revision}`);
  world.shown.set(id, revision > before ? revision : before);
}

async function changeProfile(world: World, name: ProviderName, deletes: boolean): Promise<void> {
  const profile = world.life.domain.providers.get({ name });
  if (!deletes) {
    await world.life.domain.providers.update(
      profile.id,
      { settings: { category: "fixed" } },
      undefined,
      owner,
    );
    return;
  }
  world.deletedProviders.add(name);
  await world.life.domain.providers.delete(profile.id, owner);
}
