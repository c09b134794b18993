import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { bearerOf } from "../clients/scripted_api.js";
import { ClientWorld } from "../clients/world.js";

type Act = (fields: Record<string, string>) => Promise<unknown>;

/** A daemon, a provider and an API, which tests in other languages steer by HTTP: POST /ACT with its fields as JSON. */
export class Control {
  private constructor(
    readonly url: string,
    readonly world: ClientWorld,
    private readonly end: () => Promise<void>,
  ) {}

  static async start(): Promise<Control> {
    const world = await ClientWorld.make();
    await world.startDaemon();
    const acts = actsOf(world);
    // A busy client may send on a connection just as the server ends it for being idle.
    const http = createServer({ keepAliveTimeout: 0 }, async (request, response) => {
      try {
        const act = acts[request.url?.slice(1) ?? ""];
        if (!act) throw new Error(`there is no act ${request.url}`);
        const result = await act((await json(request)) as Record<string, string>);
        response.end(JSON.stringify(result ?? null));
      } catch (error) {
        response.writeHead(500).end(String(error));
      }
    });
    await once(http.listen(0, "127.0.0.1"), "listening");
    return new Control(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, world, async () => {
      http.closeAllConnections();
      http.close();
      await world.close();
    });
  }

  /** What the tests of a language find it by. */
  get environment(): NodeJS.ProcessEnv {
    return { CONTROL: this.url, NEXUS_ADDRESS: this.world.unixAddress, API: this.world.api.origin };
  }

  close(): Promise<void> {
    return this.end();
  }
}

function actsOf(world: ClientWorld): Readonly<Record<string, Act>> {
  return {
    /** Begins a case: a provider of its own, whose tokens may read. */
    register: async ({ name }) => {
      world.reset();
      world.scope = "read";
      // The API refuses what may not write, wherever it is asked to write.
      world.api.become((call) => {
        const isRefused = call.path === "/write" && !writers.has(bearerOf(call) ?? "");
        const challenge = { "www-authenticate": 'Bearer error="insufficient_scope", scope="write"' };
        return isRefused ? { status: 403, headers: challenge } : { status: 200 };
      });
      return await world.register(name === undefined ? {} : { name });
    },
    /** The user opens the link; from then on tokens have the scope. */
    consent: async ({ url = "", scope = "read" }) => {
      world.scope = scope;
      const before = world.issued.length;
      await world.consent(url);
      if (scope.includes("write")) for (const { value } of world.issued.slice(before)) writers.add(value);
    },
    deny: ({ url = "" }) => world.deny(url),
    connect: ({ provider = "", user = "" }) => world.connect(provider, user),
    refresh: ({ provider = "", user = "" }) => world.refresh(provider, user),
    revoke: async ({ connection = "" }) => {
      await world.clients.connections.revokeConnection({ connectionId: connection });
    },
    restart: async () => {
      await world.endDaemon();
      await world.startDaemon();
    },
  };
}

/** Tokens that may write. */
const writers = new Set<string>();
