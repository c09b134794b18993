import type { ConsoleRoom } from "../frame/console_visit.js";
import { connect, connectPage } from "./connect_form.js";
import { consentAgain, refresh, revoke, revokePage } from "./connection_actions.js";
import { connectionsPath, listPage } from "./connection_list.js";
import { connectionPage, liveCard } from "./connection_page.js";
import { liveList } from "./live_list.js";

const one = `${connectionsPath}/{id}`;

export const connectionsRoom: ConsoleRoom = {
  title: "Connections",
  path: connectionsPath,
  pages: {
    [connectionsPath]: listPage,
    [`${connectionsPath}/new`]: connectPage,
    [one]: connectionPage,
    [`${one}/revoke`]: revokePage,
  },
  actions: {
    [`${connectionsPath}/new`]: connect,
    [`${one}/refresh`]: refresh,
    [`${one}/consent`]: consentAgain,
    [`${one}/revoke`]: revoke,
  },
  streams: {
    [`${connectionsPath}/live`]: liveList,
    [`${one}/live`]: liveCard,
  },
};
