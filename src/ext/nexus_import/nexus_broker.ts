import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { CommandFailure } from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import { isJsonObject, type JsonObject, type JsonValue } from "../../model/model.js";
import type { Secret } from "../../runtime/runtime.js";

/** A grant that the broker opened. */
export type NexusGrant =
  | {
      readonly kind: "oauth2";
      readonly refreshToken: string | undefined;
      readonly accessToken: string | undefined;
      /** Of the access token; undefined where nobody knows. */
      readonly expiresAtMs: number | undefined;
      readonly scopes: readonly string[];
    }
  | { readonly kind: "static"; readonly fields: Readonly<Record<string, string>> };

/** The broker gives no grant. The message is the end of a sentence, and holds nothing of what it answered. */
export class BrokerRefused extends Error {
  override readonly name = "BrokerRefused";
}

const timeoutMs = 15_000;
const maxBytes = 1024 * 1024;
/** What the broker adds to the fields of a static credential. */
const added = ["expires_at", "expired"];

/** The REST API of the broker, with its key. */
export class NexusBroker {
  readonly #base: string;

  constructor(
    url: URL,
    private readonly key: Secret,
  ) {
    this.#base = url.href.replace(/\/$/, "");
  }

  /** @throws CommandFailure where it cannot be reached with this key */
  async check(): Promise<void> {
    const reason = await this.#get("/providers").then(
      ({ status }) => (status === 200 ? undefined : refusalOf(status)),
      (error: Error) => error.message,
    );
    if (reason !== undefined)
      throw new CommandFailure(exitCodes.failed, `${reason}: look at --broker, the URL of Nexus's broker`);
  }

  /** @throws BrokerRefused */
  async grantOf(connectionId: string): Promise<NexusGrant> {
    const { status, body } = await this.#get(`/connections/${connectionId}/token`);
    if (status === 409) throw new BrokerRefused("the user must consent again");
    if (status !== 200 || !isJsonObject(body)) throw new BrokerRefused(refusalOf(status));
    return grantIn(body);
  }

  async #get(path: string): Promise<{ readonly status: number; readonly body: JsonValue }> {
    const url = new URL(this.#base + path);
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const headers = { "x-api-key": this.key.reveal(), accept: "application/json" };
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const options = { headers, signal: AbortSignal.timeout(timeoutMs) };
        send(url, options, resolve).on("error", reject).end();
      });
      return { status: response.statusCode ?? 0, body: await jsonOf(response) };
    } catch (error) {
      const { code, name } = error as NodeJS.ErrnoException;
      throw new BrokerRefused(`the broker cannot be reached (${code ?? name})`);
    }
  }
}

function refusalOf(status: number): string {
  return [401, 403].includes(status)
    ? `the broker refuses the key of --key-file (${status})`
    : `the broker answered ${status}`;
}

async function jsonOf(response: IncomingMessage): Promise<JsonValue> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.byteLength;
    if (bytes > maxBytes) {
      response.destroy();
      return null;
    }
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8")) as JsonValue;
  } catch {
    return null;
  }
}

/** Members of an OAuth grant are at the root, too; those of a static credential are in `credentials`. */
function grantIn(body: JsonObject): NexusGrant {
  const { strategy, credentials } = body;
  const given = isJsonObject(credentials) ? credentials : {};
  const type = isJsonObject(strategy) ? strategy["type"] : undefined;
  const text = (name: string): string | undefined => {
    const value = given[name] ?? body[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  if (type === "oauth2" || (type === undefined && text("access_token") !== undefined))
    return {
      kind: "oauth2",
      refreshToken: text("refresh_token"),
      accessToken: text("access_token"),
      expiresAtMs: timeOf(given["expires_at"]) ?? timeOf(body["expires_at"]),
      scopes:
        text("scope")
          ?.split(/[ ,]+/)
          .filter((scope) => scope !== "") ?? [],
    };
  const fields = Object.entries(given).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string" && !added.includes(entry[0]),
  );
  return { kind: "static", fields: Object.fromEntries(fields) };
}

/** RFC 3339, or seconds of the Unix epoch; 0 and what is no time mean that nobody knows. */
function timeOf(value: JsonValue | undefined): number | undefined {
  const ms =
    typeof value === "number" ? value * 1000 : typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
