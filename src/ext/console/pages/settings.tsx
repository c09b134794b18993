import type { Answer } from "../../../server/listen/http_listener.js";
import { Table } from "../../../server/views/parts.js";
import { consolePage } from "../kit/page.js";
import { type PageRequest, refuseUnless } from "../kit/request.js";

/** The settings of this daemon, each with where it came from. */
export function settingsPage(request: PageRequest): Answer {
  refuseUnless(request, "key.manage");
  const settings = request.settings();
  const groups = [...new Set(settings.map(({ group }) => group))];
  const content = (
    <>
      <p class="soft">
        Read when the daemon starts. Change a setting by its flag or variable, and restart the daemon.
      </p>
      {groups.map((group) => (
        <section class="settings">
          <h2>{group}</h2>
          <Table
            caption={group}
            columns={["Setting", "Value", "Source"]}
            rows={settings
              .filter((each) => each.group === group)
              .map(({ name, value, source, meaning }) => ({
                cells: [
                  <><code>{name}</code><span class="soft block">{meaning}</span></>,
                  <bdi>{value}</bdi>,
                  source === "default" ? <span class="soft">default</span> : <b>{source}</b>,
                ],
              }))}
          />
        </section>
      ))}
    </>
  );
  return consolePage(request, { title: "Settings", section: "/settings", content });
}
