import type { Core } from "../../core/core.js";
import { type Registry, StartRefused } from "../../core/registry.js";
import type { AnswerPage } from "../../server/pages/kit.js";
import { approvalsSettings } from "./approvals_settings.js";
import { Approvers } from "./approvers.js";
import { approvePath, listenerName } from "./page_paths.js";
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

  /** @throws StartRefused at a spoke, and in a fleet where these pages have no address of their own */
  async register(
    { config, clock, member }: Core,
    registry: Registry,
    parts: Pick<PasskeyListenerOptions, "approvals" | "plans" | "messageOf" | "planMessageOf">,
  ): Promise<void> {
    const { listen: addresses, url } = approvalsSettings.of(config);
    if (addresses.length === 0) return;
    if (member && !member.page)
      throw new StartRefused(
        "NEXUS_APPROVALS_LISTEN: a spoke has no pages for passkeys, because it keeps no approvers: leave it off, and approve in the console",
      );
    if (member && url === undefined)
      throw new StartRefused(
        "NEXUS_APPROVALS_URL is required in a fleet: the pages of all hubs need the same address, to which passkeys are bound",
      );
    const [{ PasskeyListener: Listener }, { Ceremonies }, { noticePage }] = await Promise.all([
      import("./passkey_listener.js"),
      import("./ceremonies.js"),
      import("./passkey_pages.js"),
    ]);
    const { approvers } = this;
    const ceremonies = new Ceremonies({ approvers, clock });
    const pageOf: AnswerPage = async (visit) =>
      (await this.#opened[0]?.page(visit)) ?? noticePage("notFound");
    registry.ledPage(listenerName, pageOf);
    const leaderPage = member?.page;
    registry.listener(() => ({
      name: listenerName,
      make: (place) => {
        const shared = { ...place, url, approvers, ceremonies, clock, leaderPage, ...parts };
        this.#opened = addresses.map((listen) => new Listener({ ...shared, listen }));
        return this.#opened;
      },
    }));
  }
}
