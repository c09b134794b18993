import { LinearRouter } from "hono/router/linear-router";
import { ApprovalService } from "../../gen/nexus/v1/approval_pb.js";
import { PolicyService } from "../../gen/nexus/v1/policy_pb.js";
import { agentPage } from "./agents/agent.js";
import { grantAccess, grantPage, liftStop, stopAgent } from "./agents/agent_actions.js";
import { agentsPage } from "./agents/agents.js";
import { createKey, newKeyPage, revokeKey } from "./agents/keys.js";
import { answerRequest, approvalPage } from "./approvals/approval.js";
import { approvalsPage } from "./approvals/approvals.js";
import { countWaiting } from "./approvals/held.js";
import { connectionPage } from "./connections/connection.js";
import * as actions from "./connections/connection_actions.js";
import { listPage } from "./connections/connections.js";
import type { Section } from "./kit/request.js";
import { activityPage, eventPage, exportEvents } from "./pages/activity.js";
import { overviewPage } from "./pages/overview.js";
import { settingsPage, testNotifications } from "./pages/settings.js";
import { addPage, addProvider } from "./providers/add_provider.js";
import { changeClient, clientPage } from "./providers/client.js";
import { deleteProvider, providerPage } from "./providers/provider.js";
import { providerList } from "./providers/providers.js";
import { cataloguePage } from "./providers/templates.js";
import { rulesPage } from "./rules/rules.js";
import { tryPage, tryRequest } from "./rules/try_request.js";
import { approvalsPath } from "./sessions/console_url.js";

// How the console grows:
// 1. A page is a function of a `PageRequest` under a path below; it answers `consolePage(request, { title, section, content })`.
// 2. What a page shows or does it asks by `request.call(Service.method.rpc, message)`: role, restriction, limits and audit are the
//    pipeline's, so that no page has a check of its own. It throws; the listener turns that into a page that says what is wrong.
// 3. A form is a `PostForm`, whose token the listener checks before an action runs. An action ends with `seeOther(path, notice)`.
// 4. What cannot be undone has an `Ask` in its form.
// 5. There is no inline style, script or handler, which the CSP would refuse. Without scripts a page must work anyway.
// 6. A test opens each page in Chromium and gives it to axe: add its path to `test/ext/console/daemon/pages.ts`.

/** Every part of the console, in the order of the navigation; a person begins at the first that they may see. */
export const sections: readonly Section[] = [
  {
    ...{ title: "Overview", path: "/overview", action: "status.read" },
    pages: { "/overview": overviewPage },
  },
  {
    ...{ title: "Agents", path: "/agents", action: "status.read" },
    pages: {
      "/agents": agentsPage,
      "/agents/grant": (request) => grantPage(request),
      "/agents/keys/new": (request) => newKeyPage(request),
      "/agents/:name": agentPage,
    },
    actions: {
      "/agents/grant": grantAccess,
      "/agents/keys/new": createKey,
      "/agents/keys/:name/revoke": revokeKey,
      "/agents/:name/stop": stopAgent,
      "/agents/:name/lift": liftStop,
    },
  },
  {
    ...{ title: "Activity", path: "/activity", action: "audit.read" },
    pages: {
      "/activity": activityPage,
      "/activity/export": exportEvents,
      "/activity/:sequence": eventPage,
    },
  },
  {
    ...{ title: "Approvals", path: approvalsPath, action: "approval.decide", service: ApprovalService },
    pages: { [approvalsPath]: approvalsPage, "/approvals/:id": approvalPage },
    actions: { "/approvals/:id": answerRequest },
    waiting: countWaiting,
  },
  {
    ...{ title: "Rules", path: "/rules", action: "policy.read", service: PolicyService },
    pages: { "/rules": rulesPage, "/rules/try": (request) => tryPage(request) },
    actions: { "/rules/try": tryRequest },
  },
  {
    ...{ title: "Connections", path: "/connections" },
    pages: {
      "/connections": listPage,
      "/connections/new": (request) => actions.connectForm(request),
      "/connections/:id": connectionPage,
    },
    actions: {
      "/connections/new": actions.connect,
      "/connections": actions.bulk,
      "/connections/:id/refresh": actions.refresh,
      "/connections/:id/consent": actions.consentAgain,
      "/connections/:id/revoke": actions.revoke,
    },
  },
  {
    ...{ title: "Providers", path: "/providers", action: "provider.read" },
    pages: {
      "/providers": providerList,
      "/providers/add": cataloguePage,
      "/providers/add/:template": addPage,
      "/providers/new": addPage,
      "/providers/:id": providerPage,
      "/providers/:id/client": clientPage,
    },
    actions: {
      "/providers/add/:template": addProvider,
      "/providers/new": addProvider,
      "/providers/:id/client": changeClient,
      "/providers/:id/delete": deleteProvider,
    },
  },
  {
    ...{ title: "Settings", path: "/settings", action: "key.manage" },
    pages: { "/settings": settingsPage },
    actions: { "/settings/notify": testNotifications },
  },
];

/** What stands at a path. */
export interface PageRoute<T> {
  readonly serve: T;
  readonly params: Readonly<Record<string, string>>;
  /** The path of its section. */
  readonly section: string;
}

/** Finds by a path what `of` has there; undefined where nothing is. */
export function routerOf<T>(
  sections: readonly Section[],
  of: (section: Section) => Readonly<Record<string, T>>,
) {
  const router = new LinearRouter<Omit<PageRoute<T>, "params">>();
  for (const section of sections)
    for (const [pattern, serve] of Object.entries(of(section)))
      router.add("ALL", pattern, { serve, section: section.path });
  return (path: string): PageRoute<T> | undefined => {
    const [found] = router.match("ALL", path)[0];
    if (!found) return undefined;
    const [route, params] = found;
    try {
      const decoded = Object.entries(params).map(([name, text]) => [name, decodeURIComponent(String(text))]);
      return { ...route, params: Object.fromEntries(decoded) };
    } catch {
      return undefined;
    }
  };
}
