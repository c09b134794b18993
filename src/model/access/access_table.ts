/** What a principal can be to the daemon. */
export const roles = ["admin", "operator", "agent"] as const;
export type Role = (typeof roles)[number];

/** What a role may do of an action; `restricted` is within the principal's restriction. */
export type Permission = "allowed" | "restricted" | "denied";

type RolePermissions = Readonly<Record<Role, Permission>>;

const everyone: RolePermissions = { admin: "allowed", operator: "allowed", agent: "allowed" };
const restrictsAgents: RolePermissions = { admin: "allowed", operator: "allowed", agent: "restricted" };
const forOperators: RolePermissions = { admin: "allowed", operator: "allowed", agent: "denied" };
const forAdmins: RolePermissions = { admin: "allowed", operator: "denied", agent: "denied" };

/** The policy: each action, and what each role may do of it. Every RPC is one of these actions. */
export const accessTable = {
  "self.read": everyone,
  "self.renew": everyone,
  "console.open": everyone,
  "provider.read": restrictsAgents,
  "provider.manage": forOperators,
  "template.read": forOperators,
  "connection.request": restrictsAgents,
  "connection.read": restrictsAgents,
  "connection.capture": restrictsAgents,
  "connection.import": restrictsAgents,
  "connection.manage": restrictsAgents,
  /** Operators keep connections alive and never hold what is in them. */
  "token.read": { admin: "allowed", operator: "denied", agent: "restricted" },
  "audit.read": forOperators,
  /** Of the daemon as a whole, all connections counted: a restricted caller sees nothing of it. */
  "status.read": forOperators,
  "notification.test": forOperators,
  "policy.read": forOperators,
  /** Never of agents: no agent says yes to a request of its own, or of another. */
  "approval.decide": forOperators,
  "key.manage": forAdmins,
  "keyring.manage": forAdmins,
  "backup.manage": forAdmins,
  "fleet.manage": forAdmins,
} as const satisfies Readonly<Record<string, RolePermissions>>;

export type Action = keyof typeof accessTable;

export const actions = Object.keys(accessTable) as Action[];

export function isAction(text: string): text is Action {
  return Object.hasOwn(accessTable, text);
}
