import { expect, it } from "vitest";
import { approverTable } from "../../../src/ext/approvals/approver_table.js";
import { Approvers, type Passkey } from "../../../src/ext/approvals/approvers.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import { AlreadyExists, FailedPrecondition, NotFound } from "../../../src/model/errors.js";
import { Changes } from "../../../src/runtime/changes.js";
import { Store } from "../../../src/store/store.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";

const boss: Principal = { name: "key:boss", kind: "key" };
const passkey = (id: string): Passkey => ({
  credentialId: Buffer.from(id),
  publicKey: new Uint8Array(77),
  ...{ signCount: 1, rpId: "approve.example" },
});

const world = perTest(() => {
  const clock = new ManualClock(1_800_000_000_000);
  const store = Store.open({ folder: temporaryFolder(), nowMs: clock.nowMs(), tables: [approverTable] });
  const changes = new Changes();
  const approvers = new Approvers({ store, changes, clock });
  const invited = (name: string, principal = owner) => {
    const code = approvers.invite(name, principal).code.reveal();
    return { code, invitation: approvers.invitationOf(code) };
  };
  const registered = async (name: string, id = name) => {
    const { invitation } = invited(name);
    return invitation && (await approvers.register(invitation, passkey(id), { origin: "10.0.0.9" }));
  };
  const events = () => store.listAuditEvents({ limit: 500 }).events.map(({ event }) => event);
  return { clock, store, changes, approvers, invited, registered, events, close: () => store.close() };
});

it("registers one passkey with each link, within ten minutes, on record with the address of the phone", async () => {
  const { approvers, clock, invited, events } = world;
  const { invitation, code } = invited("ada");
  clock.advance(599_999);
  expect(approvers.invitationOf(code)).toBe(invitation);
  expect(approvers.invitationOf(`${code}x`)).toBeUndefined();
  if (!invitation) throw new Error("the link does not work");
  const both = ["a", "b"].map((id) => approvers.register(invitation, passkey(id), { origin: "10.0.0.9" }));
  expect(await Promise.all(both)).toEqual([true, false]);
  expect(approvers.list()).toMatchObject([{ name: "ada", addedBy: "owner", rpId: "approve.example" }]);
  expect(approvers.find(Buffer.from("a"))?.name).toBe("ada");
  expect(events()).toMatchObject([
    { type: "approver.added", principal: "owner", origin: "10.0.0.9", reason: "ada" },
  ]);
  expect(approvers.invitationOf(code)).toBeUndefined();
  const late = invited("bob").code;
  clock.advance(600_000);
  expect(approvers.invitationOf(late)).toBeUndefined();
});

it("ends a link by a newer one, by a removal, and with who made it", async () => {
  const { approvers, changes, invited } = world;
  const [older, newer, bob, carl] = [invited("ada"), invited("ada"), invited("bob", boss), invited("carl")];
  expect(approvers.invitationOf(older.code)).toBeUndefined();
  if (older.invitation) expect(await approvers.register(older.invitation, passkey("a"), {})).toBe(false);
  await approvers.remove("ada", owner);
  changes.emit("principalEnded", boss.name);
  expect([newer, bob, carl].map(({ code }) => approvers.invitationOf(code) !== undefined)).toEqual([
    ...[false, false, true],
  ]);
  expect(approvers.list()).toEqual([]);
});

it("removes a passkey, which counts no more", async () => {
  const { approvers, registered, events } = world;
  await registered("ada");
  const [ada] = approvers.list();
  await approvers.remove("ada", boss);
  expect([approvers.list(), ada && (await approvers.count(ada, 2))]).toEqual([[], false]);
  expect(events()[0]).toMatchObject({ type: "approver.removed", principal: "key:boss", reason: "ada" });
  await expect(approvers.remove("ada", boss)).rejects.toThrow(NotFound);
  expect(events()).toHaveLength(2);
});

it("takes each count of an authenticator once, and none from one that counts nothing", async () => {
  const { approvers, registered } = world;
  await registered("ada");
  const [ada] = approvers.list();
  if (!ada) throw new Error("nobody is registered");
  const counted: boolean[] = [];
  for (const count of [2, 2, 1, 0, 3]) counted.push(await approvers.count(ada, count));
  expect(counted).toEqual([true, false, false, true, true]);
  expect(approvers.list()[0]?.signCount).toBe(3);
});

it("has names once, and a hundred of them", async () => {
  const { approvers, registered } = world;
  for (let index = 0; index < 100; index++) await registered(`ada-${index}`);
  expect(() => approvers.invite("ada-7", owner)).toThrow(AlreadyExists);
  expect(() => approvers.invite("bob", owner)).toThrow(FailedPrecondition);
  await approvers.remove("ada-7", owner);
  expect(await registered("bob")).toBe(true);
});
