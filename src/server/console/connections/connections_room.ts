import { ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import type { Answer } from "../../listen/http_listener.js";
import { html } from "../../pages/html.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleRoom, ConsoleVisit } from "../frame/console_visit.js";

const path = "/connections";

export const connectionsRoom: ConsoleRoom = {
  title: "Connections",
  path,
  pages: { [path]: listPage },
};

async function listPage(visit: ConsoleVisit): Promise<Answer> {
  const { connections } = await visit.call(ConnectionService.method.listConnections, { pageSize: 50 });
  const rows = connections.map(
    ({ id, providerName, userId }) => html`<tr id="c-${id}"><td>${providerName}</td><td>${userId}</td></tr>`,
  );
  const content = html`<table>
<thead><tr><th scope="col">Provider</th><th scope="col">User</th></tr></thead>
<tbody>
${rows}
</tbody>
</table>`;
  return consolePage(visit, { title: "Connections", room: path, content });
}
