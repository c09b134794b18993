import { credentialValue, type DaemonSession, readCredential } from "../../../cli/kit.js";
import { AuthType, type Provider } from "../../../gen/nexus/v1/provider_pb.js";
import type { ConnectionName } from "../../../model/connections/connections.js";
import { namePath } from "../../../model/connections/connections.js";
import { strategyOf } from "../../../model/providers/providers.js";
import { apiUrl, type FoundKey, takesOneKey } from "./found_keys.js";

/**
 * Stores a key as a connection of the user, if none of theirs has it already.
 *
 * @param providers those of the daemon; what is created is added
 * @returns the name of the credential, as `nexusd token` takes it
 */
export async function storedKey(
  session: DaemonSession,
  key: FoundKey,
  userId: string,
  providers: Provider[],
): Promise<string> {
  const provider =
    providers.find((one) => fits(one, key)) ?? (await createdProvider(session, key, providers));
  const { daemon, call, listAll } = session;
  const all = await listAll(
    "list your connections",
    daemon.connections.listConnections,
    { userId, providerId: provider.id },
    ({ connections }) => connections,
  );
  const nameOf = (label: string) => ({ providerName: provider.name, userId, label });
  for (const { id, label } of all)
    if (await holds(session, id, key)) return credentialName(session, nameOf(label));
  const label = freeLabel(
    key,
    all.map((connection) => connection.label),
  );
  await call(`store the key for ${provider.name}`, daemon.connections.importConnection, {
    userId,
    providerId: provider.id,
    label,
    credentials: fieldsOf(provider, key),
  });
  return credentialName(session, nameOf(label));
}

/** What a provider of this key is called. */
export function providerNameOf(key: FoundKey): string {
  if (key.template && isUsable(key)) return key.template.name;
  const text = key.header ? key.place.replace(/^server /, "") : key.name;
  return slug(text) || "adopted-key";
}

function slug(text: string): string {
  const plain = text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return plain
    .replace(/^-+|-+$/g, "")
    .slice(0, 55)
    .replace(/-+$/, "");
}

/** Whether the template takes the key where the file has it. */
function isUsable({ template, header }: FoundKey): boolean {
  if (!template || !takesOneKey(template)) return false;
  const { strategy } = template.settings;
  if (!header) return true;
  return strategy.kind === "header" && isSameHeader(strategy, header);
}

function isSameHeader(
  strategy: { readonly headerName: string; readonly valuePrefix: string },
  header: NonNullable<FoundKey["header"]>,
): boolean {
  return (
    strategy.headerName.toLowerCase() === header.name.toLowerCase() &&
    strategy.valuePrefix.toLowerCase() === header.prefix.toLowerCase()
  );
}

/** Whether a provider that exists is the one of this key. */
function fits(provider: Provider, key: FoundKey): boolean {
  const name = providerNameOf(key);
  if (provider.name !== name && !provider.name.startsWith(`${name}-key`) && provider.template !== name)
    return false;
  const strategy = strategyOf(provider.strategy);
  if (provider.authType === AuthType.BASIC_AUTH) return key.username !== undefined && !isUsable(key);
  if (!strategy || !("credentialField" in strategy) || provider.authType === AuthType.OAUTH2) return false;
  return !key.header || (strategy.kind === "header" && isSameHeader(strategy, key.header));
}

async function createdProvider(
  session: DaemonSession,
  key: FoundKey,
  providers: Provider[],
): Promise<Provider> {
  const wanted = providerNameOf(key);
  const isTaken = (name: string) => providers.some((one) => one.name === name);
  const names = [wanted, `${wanted}-key`, ...[2, 3, 4, 5].map((number) => `${wanted}-key-${number}`)];
  const name = names.find((one) => !isTaken(one)) ?? wanted;
  const { provider } = await session.call(
    `add the provider ${name}`,
    session.daemon.providers.createProvider,
    {
      template: isUsable(key) ? (key.template?.name ?? "") : "",
      provider: { name, ...(isUsable(key) ? {} : ownProfile(key)) },
    },
  );
  if (!provider) throw new Error("the daemon answered without a provider");
  providers.push(provider);
  return provider;
}

/** A profile for a key that the catalogue does not know, or knows for a consent alone. */
function ownProfile({ header, origin, username, template }: FoundKey) {
  const apiBaseUrl = origin ?? (template && apiUrl(template)) ?? "";
  const description = "Created by nexusd adopt";
  if (username !== undefined) return { authType: AuthType.BASIC_AUTH, apiBaseUrl, description };
  const { name: headerName, prefix: valuePrefix } = header ?? { name: "Authorization", prefix: "Bearer " };
  const strategy = { kind: { case: "header" as const, value: { headerName, valuePrefix } } };
  return { authType: AuthType.API_KEY, apiBaseUrl, description, strategy };
}

function fieldsOf(provider: Provider, { value, username = "" }: FoundKey): Record<string, string> {
  const strategy = strategyOf(provider.strategy);
  if (strategy && "credentialField" in strategy) return { [strategy.credentialField]: value };
  return { username, password: value };
}

/** Whether a connection has this key already. */
async function holds(session: DaemonSession, id: string, { value, username }: FoundKey): Promise<boolean> {
  try {
    const read = await readCredential(session, id);
    const { credentials } = read.token;
    const password = credentials["password"];
    if (password !== undefined) return password === value && credentials["username"] === (username ?? "");
    return credentialValue(read).value === value;
  } catch {
    // One that needs its user, or has several fields, is another one.
    return false;
  }
}

function freeLabel(key: FoundKey, taken: readonly string[]): string {
  const base = slug(key.place.replace(/^(server|variable|machine|line) ?/, "") || key.name) || "adopted";
  const labels = ["", base, ...taken.map((_, at) => `${base}-${at + 2}`)];
  return labels.find((label) => !taken.includes(label)) ?? base;
}

/** As short as it can be: a word for the login's own. */
function credentialName({ shell }: DaemonSession, name: ConnectionName): string {
  return name.label === "" && name.userId === shell.userName() ? name.providerName : namePath(name);
}
