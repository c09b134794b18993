import { createHash, randomBytes } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ApproverRecord, ApproverRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import { at, by, type Principal, type Provenance } from "../../model/access/access.js";
import { AlreadyExists, FailedPrecondition, NotFound } from "../../model/model.js";
import { BoundedMap, type Changes, type Clock, Secret } from "../../runtime/runtime.js";
import type { Databases, Store } from "../../store/store.js";
import { approverTable } from "./approver_table.js";

/** A person walks to their phone. */
const invitationLifeMs = 600_000;
/** Of some 300 bytes each; a household or a team has a few. */
const maxApprovers = 100;

/** What a link registers. */
export interface Invitation {
  readonly name: string;
  /** SHA-256 of its code, hexadecimal. */
  readonly digest: string;
  /** Who made it. */
  readonly principal: Principal;
  readonly expiresAtMs: number;
}

/** A passkey that was verified. */
export type Passkey = Pick<ApproverRecord, "credentialId" | "publicKey" | "signCount" | "rpId">;

/** The people who approve with a passkey, and the links that register one. Links are in memory alone, by the digests of their codes. */
export class Approvers {
  /** By name: a newer link replaces the one before. */
  readonly #invitations = new BoundedMap<string, Invitation>(maxApprovers);

  constructor(
    private readonly deps: {
      readonly store: Pick<Store, "commit" | "raw">;
      readonly changes: Changes;
      readonly clock: Clock;
    },
  ) {
    deps.changes.on("principalEnded", (ended) => {
      for (const [name, { principal }] of this.#invitations.entries())
        if (principal.name === ended) this.#invitations.delete(name);
    });
  }

  /** Sorted by name. */
  list(): ApproverRecord[] {
    const all = this.deps.store.raw((databases) => [...approverTable.of(databases).getRange({})]);
    return all.map(({ value }) => fromBinary(ApproverRecordSchema, value));
  }

  find(credentialId: Uint8Array): ApproverRecord | undefined {
    return this.list().find((one) => Buffer.compare(one.credentialId, credentialId) === 0);
  }

  /** Makes the code of a link. @throws AlreadyExists, FailedPrecondition (TOO_MANY_APPROVERS) */
  invite(name: string, principal: Principal): { readonly code: Secret; readonly expiresAtMs: number } {
    checkRoom(this.list(), name);
    const code = randomBytes(32).toString("base64url");
    const expiresAtMs = this.deps.clock.nowMs() + invitationLifeMs;
    this.#invitations.set(name, { name, digest: digestOf(code), principal, expiresAtMs });
    return { code: new Secret(code), expiresAtMs };
  }

  /** What a code registers; undefined once it was used, has expired, was replaced or removed. */
  invitationOf(code: string): Invitation | undefined {
    const digest = digestOf(code);
    const found = [...this.#invitations.values()].find((one) => one.digest === digest);
    return found && this.deps.clock.nowMs() < found.expiresAtMs ? found : undefined;
  }

  /**
   * Uses up an invitation.
   *
   * @param origin address of the browser's socket
   * @returns false where another one was faster
   * @throws AlreadyExists, FailedPrecondition (TOO_MANY_APPROVERS), StoreFailed
   */
  async register(invitation: Invitation, passkey: Passkey, from: Partial<Provenance>): Promise<boolean> {
    const { name, principal } = invitation;
    if (this.#invitations.get(name) !== invitation) return false;
    // Before anything is waited for: a link registers one passkey.
    this.#invitations.delete(name);
    const nowMs = this.deps.clock.nowMs();
    const own = { name, addedAtMs: BigInt(nowMs), addedBy: principal.name };
    const record = create(ApproverRecordSchema, { ...passkey, ...own });
    await this.deps.store.commit((tx) => {
      checkRoom(this.list(), name);
      tx.raw((databases) => put(databases, record));
      tx.appendAudit({
        timeMs: nowMs,
        type: "approver.added",
        ...by(at(principal, from.origin, from.via)),
        reason: name,
      });
    });
    return true;
  }

  /** Also ends the link that waits for it. @throws NotFound, StoreFailed */
  async remove(name: string, principal: Principal): Promise<void> {
    const wasInvited = this.#invitations.get(name) !== undefined;
    this.#invitations.delete(name);
    const timeMs = this.deps.clock.nowMs();
    await this.deps.store.commit((tx) => {
      const isRemoved = tx.raw((databases) => {
        const table = approverTable.of(databases);
        return table.doesExist(name) && table.removeSync(name);
      });
      if (isRemoved) tx.appendAudit({ timeMs, type: "approver.removed", ...by(principal), reason: name });
      else if (!wasInvited) throw new NotFound("principal", passkeyPrincipalName(name));
    });
    // What it approved with others waits for somebody else.
    this.deps.changes.emit("principalEnded", passkeyPrincipalName(name));
  }

  /** Notes how often the authenticator has signed. @returns false where the passkey was removed meanwhile @throws StoreFailed */
  async count({ name, credentialId }: ApproverRecord, signCount: number): Promise<boolean> {
    return await this.deps.store.commit((tx) =>
      tx.raw((databases) => {
        const bytes = approverTable.of(databases).getBinary(name);
        const record = bytes && fromBinary(ApproverRecordSchema, bytes);
        // Another answer with this count, or a later one, was taken meanwhile: the authenticator was cloned.
        if (!record || Buffer.compare(record.credentialId, credentialId) !== 0) return false;
        if (signCount > 0 && signCount <= record.signCount) return false;
        if (signCount > 0) put(databases, { ...record, signCount });
        return true;
      }),
    );
  }
}

export function passkeyPrincipalName(name: string): string {
  return `passkey:${name}`;
}

function checkRoom(all: readonly ApproverRecord[], name: string): void {
  if (all.some((one) => one.name === name))
    throw new AlreadyExists(`an approver is named ${name}: remove that one first, or choose another name`);
  if (all.length >= maxApprovers)
    throw new FailedPrecondition("TOO_MANY_APPROVERS", `at most ${maxApprovers} approvers have a passkey`);
}

function put(databases: Databases, record: ApproverRecord): void {
  approverTable.of(databases).putSync(record.name, toBinary(ApproverRecordSchema, record));
}

function digestOf(code: string): string {
  return createHash("sha256").update(code).digest("hex");
}
