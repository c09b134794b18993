import { Code, ConnectError } from "@connectrpc/connect";
import { CommandFailure, type DaemonSession, otherUsers, printable, usageFailure } from "../../../cli/kit.js";
import { exitCodes } from "../../../core/registry.js";
import type { Restriction } from "../../../gen/nexus/v1/access_pb.js";
import { CompiledRestriction, type RestrictionLists, restrictionFrom } from "../../../model/access/access.js";
import { NotFound } from "../../../model/model.js";
import type { Clock } from "../../../runtime/runtime.js";
import { type ActingUser, type McpPolicy, refuseProvider } from "./mcp_policy.js";
import { type CallToolResult, type InputRequiredResult, type ServerContext, z } from "./sdk.js";

/**
 * The user for whom a tool acts: the one that the policy says or the model names. If only the login name of this machine says it, a key
 * that is for one user decides.
 *
 * @param restrictions of the key
 * @throws CommandFailure that names both for a user whom the key is not for
 */
export function actingUser(
  { userId, isLoginName }: ActingUser,
  restrictions: readonly RestrictionLists[],
  named: string | undefined,
): string {
  const wanted = userId ?? named;
  if (wanted === undefined) throw usageFailure("user: name the user on whose behalf you act");
  const compiled = restrictions.map((one) => new CompiledRestriction(restrictionFrom(one)));
  const isAllowed = (user: string): boolean => compiled.every((one) => one.hasUser(user));
  if (isAllowed(wanted)) return wanted;
  const lists = restrictions.map(({ userIds }) => userIds).filter((list) => list.length > 0);
  const single = lists
    .filter((list) => !list.some((user) => user.endsWith("*")))
    .map((list) => list.filter(isAllowed))
    .find((list) => list.length === 1);
  if (isLoginName && single?.[0] !== undefined) return single[0];
  throw usageFailure(`${otherUsers(restrictions, wanted)}${adviceTo({ userId, isLoginName })}`);
}

function adviceTo({ userId, isLoginName }: ActingUser): string {
  if (userId === undefined) return ": name another user";
  if (isLoginName) return ", your login name: start nexusd mcp with --user or --any-user";
  return ", as nexusd mcp --user says";
}

/** What the tools of a server share. */
export interface ToolDeps {
  readonly policy: McpPolicy;
  readonly clock: Clock;
  /** The daemon as the caller of this request may use it. */
  readonly sessionOf: (context: ServerContext) => DaemonSession;
  /** What its key is restricted to. */
  readonly restrictionsOf: (context: ServerContext) => Promise<readonly Restriction[]>;
  /** Of a server with one client; over HTTP the transport has one for each, or none. */
  readonly sessionId?: string;
}

/** The name of a connection as the daemon has it. */
export interface ToolAccount {
  readonly providerName: string;
  readonly userId: string;
  readonly label: string;
}

export type ToolAnswer = CallToolResult | InputRequiredResult;

/** Arguments that name a connection; `user` is one of them where the policy leaves it to the model. */
export function accountShape(acting: ActingUser) {
  const user = userShape(acting, "on whose behalf: the application's own id of the user");
  return {
    provider: z.string().min(1).max(128).describe("name of a provider, as list_providers gives it"),
    ...user,
    label: z
      .string()
      .max(64)
      .optional()
      .describe("distinguishes a second account of the user at the provider; omit it for the only one"),
  };
}

/** Typed as if it were there: the schema of a server with one user refuses it. */
export function userShape({ userId }: ActingUser, meaning: string) {
  const user = z.string().min(1).max(256).describe(meaning);
  const shape = userId === undefined ? { user } : {};
  return shape as unknown as { readonly user: ReturnType<(typeof user)["optional"]> };
}

/** @throws CommandFailure for a provider that the policy leaves out, and a user whom the key is not for */
export async function accountOf(
  deps: ToolDeps,
  context: ServerContext,
  given: {
    readonly provider: string;
    readonly user?: string | undefined;
    readonly label?: string | undefined;
  },
): Promise<ToolAccount> {
  const providerName = given.provider.trim().toLowerCase();
  refuseProvider(deps.policy, providerName);
  return { providerName, userId: await userOf(deps, context, given), label: given.label ?? "" };
}

export async function userOf(
  { policy, restrictionsOf }: ToolDeps,
  context: ServerContext,
  { user }: { readonly user?: string | undefined },
): Promise<string> {
  return actingUser(policy, await restrictionsOf(context), user);
}

/** Does `work` with a connection; where there is none, a person has to make it. */
export function onConnection<Answer>(
  { providerName, label }: ToolAccount,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const labelled = label === "" ? "" : ` with the label ${label}`;
  const words = `the user has no connection to ${providerName}${labelled}`;
  return whereNotFound(work, new CommandFailure(exitCodes.attentionNeeded, words));
}

/** Does `work` with a provider. */
export function onProvider<Answer>(
  { providerName }: ToolAccount,
  work: () => Promise<Answer>,
): Promise<Answer> {
  return whereNotFound(work, usageFailure(`there is no provider ${providerName}: call list_providers`));
}

async function whereNotFound<Answer>(work: () => Promise<Answer>, failure: CommandFailure): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    const cause = error instanceof CommandFailure ? error.cause : undefined;
    const isMissing = cause instanceof ConnectError && cause.code === Code.NotFound;
    throw isMissing || error instanceof NotFound ? failure : error;
  }
}

/** An answer as JSON, for models and programs. */
export function jsonResult(answer: Record<string, unknown>): CallToolResult {
  return { content: [{ type: "text", text: JSON.stringify(answer, null, 2) }], structuredContent: answer };
}

export function textResult(...texts: readonly string[]): CallToolResult {
  return { content: texts.map((text) => ({ type: "text", text })) };
}

/** Does the work of a tool; what it refuses or what fails is an answer for the model, which says what to do next. */
export async function answering(
  work: () => Promise<ToolAnswer>,
  account?: { readonly provider: string },
): Promise<ToolAnswer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw new Error("internal error of nexusd mcp");
    return { ...textResult(failureText(error, account?.provider)), isError: true };
  }
}

function failureText({ exitCode, message }: CommandFailure, provider: string | undefined): string {
  const lines = message.split("\n").map(printable);
  if (exitCode !== exitCodes.attentionNeeded || provider === undefined) return lines.join("\n");
  const [what = ""] = lines;
  return `${what}\na person has to consent: call the tool connect with ${JSON.stringify({ provider })}`;
}
