import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConsentLinkRecordSchema } from "../../../gen/nexus/store/v1/records_pb.js";
import {
  type Databases,
  decodeCount,
  encodeCount,
  nothing,
  type Store,
  type Transaction,
  unlessUnreadable,
} from "../../../store/store.js";
import type { NotificationType } from "./notification.js";
import { notificationTypeOf } from "./notification_codec.js";
import { consentLinks, expiries, expiriesDue } from "./tables.js";

/** What a link in a notification leads to: a consent for one connection, as long as what the notification reports goes on. */
export interface ConsentLink {
  readonly connectionId: string;
  readonly type: NotificationType;
  /** `occasionOf` the connection when the link was made. */
  readonly occasion: string;
}

/** Links that are forgotten at each new one. */
const prunedAtOnce = 16;

/** When connections are looked at for a consent that ends soon, and the links that notifications carry. */
export class NotificationPlanReads {
  constructor(protected readonly databases: Databases) {}

  /** Connections that are due at `untilMs` or earlier, the earliest first. */
  dueExpiries(untilMs: number, limit: number): { readonly atMs: number; readonly connectionId: string }[] {
    const keys = expiriesDue.of(this.databases).getKeys({ end: [untilMs + 1, ""], limit });
    return Array.from(keys, ([atMs, connectionId]) => ({ atMs, connectionId }));
  }

  get nextExpiryMs(): number | undefined {
    for (const [atMs] of expiriesDue.of(this.databases).getKeys({ limit: 1 })) return atMs;
    return undefined;
  }

  /** @param codeHash SHA-256, hexadecimal */
  consentLink(expiresAtMs: number, codeHash: string): ConsentLink | undefined {
    const bytes = consentLinks.of(this.databases).getBinary([expiresAtMs, codeHash]);
    return bytes && unlessUnreadable(() => decodeConsentLink(bytes));
  }
}

/** Inside a transaction. */
export class NotificationPlans extends NotificationPlanReads {
  /** Instead of the one before. @param atMs undefined for none */
  setExpiry(connectionId: string, atMs: number | undefined): void {
    const [looks, looksDue] = [expiries.of(this.databases), expiriesDue.of(this.databases)];
    const before = looks.getBinary(connectionId);
    if (before) looksDue.removeSync([Number(decodeCount(before)), connectionId]);
    if (atMs === undefined) looks.removeSync(connectionId);
    else {
      looks.putSync(connectionId, encodeCount(BigInt(atMs)));
      looksDue.putSync([atMs, connectionId], nothing);
    }
  }

  /** Forgets some that have ended. */
  putConsentLink(link: ConsentLink, expiresAtMs: number, codeHash: string, nowMs: number): void {
    const links = consentLinks.of(this.databases);
    const ended = [...links.getKeys({ end: [nowMs, ""], limit: prunedAtOnce })];
    for (const key of ended) links.removeSync(key);
    links.putSync([expiresAtMs, codeHash], encodeConsentLink(link));
  }
}

export function plannedIn(store: Store): NotificationPlanReads {
  return store.raw((databases) => new NotificationPlanReads(databases));
}

export function plansOf(tx: Transaction): NotificationPlans {
  return tx.raw((databases) => new NotificationPlans(databases));
}

function encodeConsentLink(link: ConsentLink): Uint8Array {
  return toBinary(ConsentLinkRecordSchema, create(ConsentLinkRecordSchema, link));
}

function decodeConsentLink(bytes: Uint8Array): ConsentLink {
  const { connectionId, type, occasion } = fromBinary(ConsentLinkRecordSchema, bytes);
  return { connectionId, type: notificationTypeOf(type), occasion };
}
