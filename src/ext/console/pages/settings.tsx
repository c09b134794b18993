import type { Answer } from "../../../server/listen/http_listener.js";
import { Table, Tabs } from "../../../server/views/parts.js";
import { consolePage } from "../kit/page.js";
import { type PageRequest, refuseUnless } from "../kit/request.js";

const path = "/settings";

/** The settings of this daemon, each with where it came from. */
export function settingsPage(request: PageRequest): Answer {
  refuseUnless(request, "key.manage");
  const isOwn = request.query.has("own");
  const settings = request.settings().filter(({ source }) => !isOwn || source !== "default");
  const groups = [...new Set(settings.map(({ group }) => group))];
  const content = (
    <>
      <p class="soft">
        Read when the daemon starts. Change a setting by its flag or variable, and restart the daemon.
      </p>
      <Tabs
        label="Settings"
        tabs={[
          { href: path, text: "All", isCurrent: !isOwn },
          { href: `${path}?own=1`, text: "Not the default", isCurrent: isOwn },
        ]}
      />
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
  return consolePage(request, { title: "Settings", section: path, content });
}
