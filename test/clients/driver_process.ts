import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { within } from "../suites/stage.js";
import { type ClientLibrary, commandOf } from "./manifests.js";

/** Longer than anything that a driver is asked for takes on a laden machine. */
const limitSeconds = 60;

export interface TokenResult {
  readonly access_token: string | null;
  readonly credentials: Readonly<Record<string, string>>;
  readonly revision: number;
  readonly expires_at_ms: number | null;
}

/** A link that the library showed. */
export interface ConsentEvent {
  readonly auth_url: string;
  readonly connection_id: string;
  readonly reason: string;
}

/** The error that a driver answered. */
export class DriverError extends Error {
  override readonly name = "DriverError";

  constructor(
    readonly op: string,
    readonly fields: Readonly<Record<string, unknown>>,
  ) {
    super(`${op} answered ${fields["type"]}: ${fields["message"]}`);
  }

  get type(): string {
    return String(this.fields["type"]);
  }
}

type Fields = Readonly<Record<string, unknown>>;

interface Pending {
  readonly op: string;
  readonly consents: ConsentEvent[];
  readonly resolve: (result: Fields) => void;
  readonly reject: (error: Error) => void;
  readonly wake: Set<() => void>;
}

/** A call under way. */
export interface DriverCall {
  readonly id: number;
  readonly result: Promise<Fields>;
  /** The `n`th link that it showed, once it has. */
  consent(n?: number): Promise<ConsentEvent>;
  readonly consents: readonly ConsentEvent[];
}

/** A driver at work. Its requests run concurrently. */
export class DriverProcess {
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #errors = "";
  #end: string | undefined;

  constructor({ folder, run }: ClientLibrary, environment: NodeJS.ProcessEnv) {
    const [program = "", ...args] = commandOf(folder, run);
    this.#child = spawn(program, args, { cwd: folder, env: environment, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-3000);
    });
    if (this.#child.stdout) {
      createInterface({ input: this.#child.stdout }).on("line", (line) => this.#take(line));
    }
    this.#child.stdin?.on("error", () => {});
    this.exited = new Promise((resolve) => {
      const ended = (how: number | string): void => {
        this.#end ??= `the driver ended with ${how}`;
        for (const { reject } of this.#pending.values()) reject(new Error(this.#end));
        this.#pending.clear();
        resolve(how);
      };
      this.#child.on("error", (error) => ended(error.message));
      this.#child.on("close", (code, signal) => ended(code ?? signal ?? "no code"));
    });
  }

  /** The end of what it wrote to standard error. */
  get errors(): string {
    return this.#errors;
  }

  /** Starts an operation. */
  start(op: string, fields: Fields = {}): DriverCall {
    const id = ++this.#lastId;
    const consents: ConsentEvent[] = [];
    const wake = new Set<() => void>();
    const answered = new Promise<Fields>((resolve, reject) => {
      if (this.#end === undefined) this.#pending.set(id, { op, consents, resolve, reject, wake });
      else reject(new Error(this.#end));
    });
    const wakeAll = (): void => {
      for (const call of wake) call();
    };
    answered.then(wakeAll, wakeAll);
    this.#child.stdin?.write(`${JSON.stringify({ id, op, ...fields })}\n`);
    const consent = async (n = 1): Promise<ConsentEvent> => {
      const shown = (async () => {
        for (;;) {
          const event = consents[n - 1];
          if (event) return event;
          if (!this.#pending.has(id))
            throw new Error(`${op} ended without link ${n}: ${JSON.stringify(await answered)}`);
          await new Promise<void>((resolve) => void wake.add(resolve));
        }
      })();
      return within(limitSeconds, `${op} shows link ${n}`, shown);
    };
    return { id, result: within(limitSeconds, `${op} is answered`, answered), consent, consents };
  }

  /** @throws DriverError */
  async call(op: string, fields: Fields = {}): Promise<Fields> {
    return await this.start(op, fields).result;
  }

  /** @throws DriverError */
  async token(provider: string, user = "ada", more: Fields = {}): Promise<TokenResult> {
    const result = (await this.call("token", { provider, user, ...more })) as unknown as TokenResult;
    if (typeof result.revision !== "number" || typeof result.credentials !== "object") {
      throw new Error(`token answered ${JSON.stringify(Object.keys(result))}`);
    }
    return result;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends its input, after which it must end by itself. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  #take(line: string): void {
    let message: Fields;
    try {
      message = JSON.parse(line) as Fields;
    } catch {
      this.#errors += `\nno JSON on standard output: ${line.slice(0, 200)}`;
      return;
    }
    const pending = this.#pending.get(message["id"] as number);
    if (!pending) return;
    if (message["event"] === "consent") {
      pending.consents.push(message as unknown as ConsentEvent);
      for (const call of pending.wake) call();
      return;
    }
    this.#pending.delete(message["id"] as number);
    if (message["error"] === undefined) pending.resolve((message["result"] ?? {}) as Fields);
    else pending.reject(new DriverError(pending.op, message["error"] as Fields));
  }
}
