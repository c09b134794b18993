import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEvent } from "../../../../src/model/access/audit_event.js";
import type { Connection } from "../../../../src/model/connections/connection.js";
import { newId } from "../../../../src/model/ids.js";
import type { ProviderProfile } from "../../../../src/model/providers/provider_profile.js";
import { Store } from "../../../../src/store/store.js";
import { Place, TestDaemon } from "../../../daemon/harness.js";
import { aConnection, aProfile } from "../../../samples.js";
import { temporaryFolder } from "../../../temporary_folder.js";

export interface Seed {
  readonly profiles: readonly ProviderProfile[];
  readonly connections: readonly Connection[];
  /** Of the audit log, the oldest first. */
  readonly events?: readonly AuditEvent[];
}

/** A daemon whose store held this when it started: also what no client could bring about. Nothing is sealed in it. */
export class SeededDaemon extends TestDaemon {
  static async seeded(
    seed: (nowMs: number) => Seed,
    environment: NodeJS.ProcessEnv = {},
  ): Promise<SeededDaemon> {
    const made = new SeededDaemon(await Place.make(environment));
    await made.start();
    await made.restart(async () => {
      const nowMs = made.clock.nowMs();
      const { profiles, connections, events = [] } = seed(nowMs);
      const store = Store.open({ folder: made.place.config.dataDir, nowMs });
      await store.commit((tx) => {
        for (const profile of profiles) tx.putProvider(profile);
        for (const connection of connections) tx.putConnection(connection);
        for (const event of events) tx.appendAudit(event);
      });
      await store.close();
    });
    return made;
  }
}

const hourMs = 3_600_000;
/** Nothing is sent there: they stand in links. */
const endpoints = {
  authUrl: "https://provider.example/authorize",
  tokenUrl: "https://provider.example/token",
};

/** What agents may send, with markup wherever a text can stand. */
export const samplePolicy = `# Agents read, and a person looks at what they write.
rules:
  - providers: [github]
    when: '!request.reads && request.path.startsWith("/repos/acme/")'
    then: ask
    because: a person looks at each change
    for: [session, hour]
  - providers: [github, google]
    when: request.method == "DELETE" || request.path.matches("^/(admin|enterprises)/[^/]+/settings/[a-z0-9-]+$")
    then: deny
    shadow: true
  - when: '"secrets" in session.labels && (request.method != "GET" || request.query["q"] == "<script>")'
    then: deny
    because: "who has read <script>document.title='owned'</script> sends nothing"
  - providers: [github]
    when: request.reads
    then: allow
    label: [secrets]
    uses: 500/h
bindings:
  - principals: ["jwt:system:serviceaccount:agents:*"]
    role: agent
    user_ids: ["ada", "acme:*"]
    providers: [github]
  - principals: [cert:operations]
    role: operator
proxies: [cert:operations]
`;
const sampleDigest = createHash("sha256").update(samplePolicy).digest("hex").slice(0, 12);

/** Puts a policy file in force. */
export function withPolicy(text = samplePolicy): NodeJS.ProcessEnv {
  const file = join(temporaryFolder(), "policy.yaml");
  writeFileSync(file, text);
  return { NEXUS_POLICY_FILE: file };
}

/** Connections in every state, as a person's daemon may have them, and a day of agents. */
export function everyState(nowMs: number): Seed {
  const seed = peopleOf(nowMs);
  return { ...seed, events: dayOf(seed.connections, nowMs) };
}

function peopleOf(nowMs: number): Seed {
  const profile = (name: string, more: Partial<ProviderProfile> = {}): ProviderProfile =>
    aProfile({ name, template: name, createdAtMs: nowMs, updatedAtMs: nowMs, ...endpoints, ...more });
  const github = profile("github");
  const google = profile("google");
  const slack = profile("slack-support", { template: "slack" });
  const acme = profile("acme-crm", { template: "" });
  const of = ({ id, name }: ProviderProfile, userId: string, more: Partial<Connection> = {}): Connection =>
    aConnection({
      ...{ id: newId(), providerId: id, providerName: name, userId, createdAtMs: nowMs - 90 * hourMs },
      ...more,
    });
  const active = (lifeMs: number, ageMs: number): Partial<Connection> => ({
    ...{ status: "active", credentialRevision: 17n, refreshable: true },
    ...{ issuedAtMs: nowMs - ageMs, expiresAtMs: nowMs + lifeMs, refreshNotBeforeMs: nowMs + lifeMs * 0.8 },
  });
  const account = (email: string) => ({ subject: email, name: "", email, login: "", source: "op" });
  const attention = { status: "attention", credentialRevision: 3n, issuedAtMs: nowMs - 30 * hourMs } as const;
  const problem = (reason: "reauth_required" | "consent_revoked" | "misconfigured") => ({
    ...{ reason, sinceMs: nowMs - 2 * hourMs, retryAtMs: undefined },
  });
  const mail = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"];
  return {
    profiles: [github, google, slack, acme],
    connections: [
      of(github, "ada", {
        ...{ ...active(7 * hourMs, hourMs), account: account("ada@example.com") },
        grantedScopes: ["repo", "read:user"],
      }),
      of(github, "ada", {
        ...{
          ...active(5 * hourMs, 3 * hourMs),
          label: "work",
          account: account("ada.lovelace@acme.example"),
        },
        grantedScopes: ["repo", "read:org", "read:user", "workflow", "gist"],
      }),
      of(google, "grace", {
        ...{ ...attention, account: account("grace@example.com"), grantedScopes: mail },
        problem: problem("reauth_required"),
      }),
      of(google, "alan", {
        ...{
          ...active(0.5 * hourMs, 0.5 * hourMs),
          account: account("alan@example.com"),
          grantedScopes: mail,
        },
        problem: { reason: "refresh_failing", sinceMs: nowMs - 300_000, retryAtMs: nowMs + 90_000 },
      }),
      of(slack, "support-team", { ...active(10 * hourMs, 2 * hourMs), grantedScopes: ["chat:write"] }),
      of(slack, "edsger", { requestExpiresAtMs: nowMs + 9 * 60_000, requestedScopes: ["chat:write"] }),
      of(acme, "barbara", { ...attention, problem: problem("misconfigured") }),
      of(acme, "donald", { status: "expired" }),
      of(acme, "margaret", {
        ...{ status: "failed", requestedScopes: ["contacts.read"] },
        problem: { reason: "access_denied", sinceMs: nowMs - hourMs, retryAtMs: undefined },
      }),
      of(github, "tony", { status: "revoked", providerRevocation: "done" }),
    ],
  };
}

/** Markup, and what turns text around, wherever a text can stand. */
export const hostileText = `"><script>document.title='owned'</script><img src=x onerror="document.title='owned'">'\u202egpj`;

/** A caller with a name that no check would let in. */
export const stranger = `jwt:${hostileText}`;

/** An event that nothing writes where its extension is left out. */
function ofExtension(type: string): AuditEvent["type"] {
  return type as AuditEvent["type"];
}

/** A day of agents: what they read, sent, and were refused, the oldest first. */
function dayOf(connections: readonly Connection[], nowMs: number): AuditEvent[] {
  const rule = `line 3 of ${sampleDigest}`;
  const hours = Array.from({ length: 22 }, (_, index) => nowMs - (22 - index) * hourMs);
  return hours.flatMap((timeMs, hour) => {
    const connection = connections[hour % 4] ?? aConnection();
    const about = {
      ...{ timeMs, connectionId: connection.id, providerId: connection.providerId },
      ...{ userId: connection.userId, origin: "127.0.0.1:4242" },
    };
    const claude = { ...about, principal: "key:claude.github.a1b2c3", session: "run-7", rule } as const;
    const denied = { ...claude, type: "token_retrieval_failed", reason: "permission_denied" } as const;
    return [
      { timeMs, type: "token_refreshed", principal: "daemon", connectionId: connection.id },
      { ...claude, type: ofExtension("egress_used"), count: 3 + ((hour * 7) % 11), rule: undefined },
      { ...about, principal: "owner", type: "token_retrieved", revision: 17n },
      ...(hour % 5 === 0 ? [{ ...denied, shadow: `line 8 of ${sampleDigest}` }] : []),
      ...(hour % 9 === 0
        ? [
            {
              ...denied,
              type: ofExtension("approval.refused"),
              principal: "owner",
              agent: claude.principal,
              approver: "owner",
              reason: `${claude.principal}: POST api.github.com/repos/acme/site/issues (line 3, sha256:${"17d4".repeat(16)})`,
            } as const,
          ]
        : []),
    ];
  });
}

/** Texts that no check would let in, at every place of a connection. */
export function hostile(nowMs: number): Seed {
  const long = "x".repeat(256);
  const texts = [hostileText, `javascript:document.title='owned'`, long];
  const profiles = texts.map((name) => aProfile({ name, template: name, ...endpoints }));
  const connections = profiles.flatMap(({ id, name }) =>
    (["active", "attention", "pending", "failed"] as const).map((status) =>
      aConnection({
        ...{ id: newId(), providerId: id, providerName: name, userId: name, label: name, status },
        ...{ grantedScopes: [name, "a".repeat(200)], requestedScopes: [name], issuedAtMs: nowMs },
        ...{ expiresAtMs: nowMs + hourMs, refreshable: true, refreshNotBeforeMs: nowMs + hourMs / 2 },
        account: { subject: name, name, email: name, login: name, source: name },
        problem: { reason: "authorization_failed", sinceMs: nowMs, retryAtMs: undefined, detail: name },
      }),
    ),
  );
  const events = [stranger, "key:claude"].flatMap((principal) =>
    texts.flatMap((text): AuditEvent[] => {
      const use = { session: text, userId: text, rule: text, shadow: text, approver: text, traceId: text };
      const event = { ...use, timeMs: nowMs - hourMs, principal, reason: text, agent: text, origin: text };
      return [
        { ...event, type: "token_retrieved", providerId: profiles[0]?.id },
        { ...event, type: "token_retrieval_failed", reason: "permission_denied" },
        { ...event, type: "access.denied" },
        { ...event, type: ofExtension("approval.given") },
        { ...event, type: ofExtension("approval.refused") },
      ];
    }),
  );
  return { profiles, connections, events };
}

/** A daemon that was just installed. */
export function empty(): Seed {
  return { profiles: [], connections: [] };
}

/** So many connections, every tenth of them in trouble. */
export const many =
  (count: number) =>
  (nowMs: number): Seed => {
    const profiles = ["github", "google", "slack"].map((name) =>
      aProfile({ name, template: name, ...endpoints }),
    );
    const connections = Array.from({ length: count }, (_, index) => {
      const { id: providerId, name: providerName } = profiles[index % 3] ?? aProfile();
      const isTroubled = index % 10 === 0;
      return aConnection({
        ...{ id: newId(), providerId, providerName, userId: `user-${index}`, credentialRevision: 2n },
        ...{ issuedAtMs: nowMs - hourMs, expiresAtMs: nowMs + index * 60_000, refreshable: true },
        ...{ status: isTroubled ? "attention" : "active", grantedScopes: ["openid", "email"] },
        ...(isTroubled && {
          problem: { reason: "consent_revoked", sinceMs: nowMs - hourMs, retryAtMs: undefined },
        }),
      });
    });
    return { profiles, connections };
  };
