import type { Core } from "../../core/core.js";
import { type Registry, StartRefused } from "../../core/registry.js";
import { approvalsSettings } from "./approvals_settings.js";
import { Approvers } from "./approvers.js";
import { approvePath } from "./page_paths.js";
import type { PasskeyListener, PasskeyListenerOptions } from "./passkey_listener.js";

/** The pages that passkeys approve at, as the service of approvals sees them. */
export class PasskeyPages {
  #opened: readonly PasskeyListener[] = [];
  readonly approvers: Approvers;

  constructor(
    { store, changes, clock }: Pick<Core, "store" | "changes" | "clock">,
    /** Whether nothing but a passkey approves. */
    readonly needsPasskey: boolean,
  ) {
    this.approvers = new Approvers({ store, changes, clock });
  }

  /** Undefined where no browser reaches them. */
  get origin(): string | undefined {
    return this.#opened.map(({ origin }) => origin).find((origin) => origin !== undefined);
  }

  /** Of the page that a link leads to; undefined where nobody could approve there. */
  urlOf(link: string): string | undefined {
    const { origin } = this;
    if (origin === undefined || this.approvers.list().length === 0) return undefined;
    return `${origin}${approvePath}/${link}`;
  }

  /** @throws StartRefused in a fleet and at a spoke */
  async register(
    { config, clock, member }: Core,
    registry: Registry,
    parts: Pick<PasskeyListenerOptions, "approvals" | "plans" | "messageOf" | "planMessageOf">,
  ): Promise<void> {
    const { listen: addresses, url } = approvalsSettings.of(config);
    if (addresses.length === 0) return;
    if (member)
      throw new StartRefused(
        "NEXUS_APPROVALS_LISTEN: a fleet and a spoke have no pages for passkeys, because the daemon that a page is asked of may not be the one that holds its request: leave it off, and approve in the console",
      );
    const [{ PasskeyListener: Listener }, { Ceremonies }] = await Promise.all([
      import("./passkey_listener.js"),
      import("./ceremonies.js"),
    ]);
    const { approvers } = this;
    const ceremonies = new Ceremonies({ approvers, clock });
    registry.listener(() => ({
      name: "approvals",
      make: (place) => {
        const shared = { ...place, url, approvers, ceremonies, clock, ...parts };
        this.#opened = addresses.map((listen) => new Listener({ ...shared, listen }));
        return this.#opened;
      },
    }));
  }
}
