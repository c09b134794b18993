import {
  DocumentError,
  type DocumentViolation,
  type Path,
  readYaml,
  unknownKeys,
  type YamlDocument,
} from "../../document/document.js";
import { isJsonObject, type JsonObject, type JsonValue } from "../../model/model.js";
import { type NotificationType, notificationTypes } from "./outbox/notification.js";

/** Where a receiver is, as the settings or the file say it. */
export type ReceiverTarget =
  | { readonly kind: "webhook"; readonly url: string; readonly secretsFile: string }
  | { readonly kind: "command"; readonly argv: readonly string[] };

export interface ReceiverSpec {
  readonly name: string;
  readonly target: ReceiverTarget;
  /** Empty means all. */
  readonly types: readonly NotificationType[];
}

const maxReceivers = 20;
const keys = ["name", "url", "secrets_file", "command", "events"];
const namePattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * Reads the receivers of a file, YAML or JSON: `receivers: [...]`, each with a `name`, and `url` with `secrets_file`, or `command`; and
 * with `events` only these.
 *
 * @throws DocumentError with every error and its place
 */
export function readReceivers(text: string): ReceiverSpec[] {
  const document = readYaml(text);
  const reading = new ReceiversReading(document);
  const receivers = reading.read();
  if (reading.violations.length > 0) throw new DocumentError(reading.violations);
  return receivers;
}

/** What is wrong with the URL of a webhook, if anything. Where it leads is judged when it is called. */
export function webhookUrlViolation(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) return "must be an https URL";
  return url.username !== "" || url.password !== "" ? "must not hold a user name or a password" : undefined;
}

class ReceiversReading {
  readonly violations: DocumentViolation[];
  readonly #names = new Set<string>();

  constructor(private readonly document: YamlDocument) {
    this.violations = [...document.violations];
  }

  read(): ReceiverSpec[] {
    const { value } = this.document;
    const list = isJsonObject(value) ? value["receivers"] : undefined;
    if (!isJsonObject(value) || !Array.isArray(list) || list.length > maxReceivers) {
      this.#violation(["receivers"], `receivers: must be a list of at most ${maxReceivers}`);
      return [];
    }
    this.violations.push(...unknownKeys(this.document, value, [], ["receivers"]));
    return (list as JsonValue[]).flatMap((json, index) => this.#receiver(json, ["receivers", index]) ?? []);
  }

  #receiver(json: JsonValue, path: Path): ReceiverSpec | undefined {
    if (!isJsonObject(json)) {
      this.#violation(path, "a receiver must be keys and values");
      return undefined;
    }
    this.violations.push(...unknownKeys(this.document, json, path, keys));
    const { name } = json;
    if (typeof name !== "string" || !namePattern.test(name) || this.#names.has(name)) {
      this.#violation(
        [...path, "name"],
        "name: must be lower-case letters, digits and hyphens, and no other's",
      );
      return undefined;
    }
    this.#names.add(name);
    const target = this.#target(json, path);
    return target && { name, target, types: this.#types(json, path) };
  }

  #target(json: JsonObject, path: Path): ReceiverTarget | undefined {
    const { url, secrets_file: secretsFile, command } = json;
    if ((url === undefined) === (command === undefined)) {
      this.#violation(path, "either url or command is required");
      return undefined;
    }
    if (url === undefined) {
      const argv = Array.isArray(command) ? (command as JsonValue[]) : [];
      if (argv.length > 0 && argv.every((word) => typeof word === "string"))
        return { kind: "command", argv: argv as string[] };
      this.#violation([...path, "command"], "command: must be a list of texts, the program first");
      return undefined;
    }
    const violation = typeof url === "string" ? webhookUrlViolation(url) : "must be a text";
    if (violation !== undefined) this.#violation([...path, "url"], `url: ${violation}`);
    if (typeof secretsFile !== "string" || secretsFile === "") {
      this.#violation(
        path,
        "secrets_file: is required: a file with the secret that messages are signed with",
      );
      return undefined;
    }
    return { kind: "webhook", url: String(url), secretsFile };
  }

  #types(json: JsonObject, path: Path): NotificationType[] {
    const { events = [] } = json;
    if (!Array.isArray(events)) {
      this.#violation([...path, "events"], "events: must be a list");
      return [];
    }
    return (events as JsonValue[]).flatMap((word, index) => {
      const type = notificationTypes.find((known) => known === word);
      if (type) return [type];
      this.#violation(
        [...path, "events", index],
        `events[${index}]: must be one of ${notificationTypes.join(", ")}`,
      );
      return [];
    });
  }

  #violation(path: Path, message: string): void {
    this.violations.push({ ...this.document.placeOf(path), message });
  }
}
