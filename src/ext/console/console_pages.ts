import { accessRoom } from "./access/access_room.js";
import { auditRoom } from "./audit/audit_room.js";
import { connectionsRoom } from "./connections/connections_room.js";
import type { ConsoleRoom } from "./frame/console_visit.js";
import { glanceRoom } from "./glance/glance_room.js";
import { providersRoom } from "./providers/providers_room.js";

// How the console grows:
// 1. A room is a folder beside this file with one `ConsoleRoom`, named below: that puts it into the navigation and serves its paths.
// 2. A page is a function of a `ConsoleVisit` under a path in `pages`; it answers `consolePage(visit, { title, room, content })`.
// 3. What a page shows or does it asks by `visit.call(Service.method.rpc, request)`: role, restriction, limits and audit are the pipeline's,
//    so that no page has a check of its own. It throws; the listener turns that into a page that says what is wrong.
// 4. A form is `postForm(visit, action, fields)` (`frame/console_forms.ts`): it holds the form token, which the listener checks before an action runs.
// 5. An action is a function under its path in `actions`; it ends with `seeOther(path, notice)`. A word of `frame/notices.ts` is shown on the next page.
// 6. What cannot be taken back has a page that asks, whose form acts.
// 7. Text is put into pages by `html` alone, which escapes it; there is no inline style, script or handler, which the CSP would refuse.
// 8. Styles are added to `frame/console_style.ts`, behaviour to `frame/console_script.ts`; without scripts a page must work all the same.
// 9. Something live is a path in `streams` that answers `eventStream(source)`, and an element with `data-live="PATH"`.
// 10. A test opens each page in Chromium and gives it to axe: add its path to `test/ext/console/daemon/pages.ts`.

/** Every part of the console, in the order of the navigation; the first is where a person begins. */
export const consoleRooms: readonly ConsoleRoom[] = [
  connectionsRoom,
  providersRoom,
  glanceRoom,
  accessRoom,
  auditRoom,
];
