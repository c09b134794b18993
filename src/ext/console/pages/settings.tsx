import { parseArgs } from "node:util";
import { commandGroup, defaultOf, type Setting } from "../../../config/config.js";
import { NotificationService } from "../../../gen/nexus/v1/notification_pb.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Facts } from "../../../server/pages/kit.js";
import { consolePage, PostForm } from "../kit/page.js";
import { Chip, Table, type TableRow, Tabs } from "../kit/parts.js";
import { type PageRequest, refuseUnless, type SettingView } from "../kit/request.js";

const path = "/settings";
const columns = ["Setting", "Value", "Source"];

/** The settings of this daemon, each with where it came from. */
export function settingsPage(request: PageRequest): HttpAnswer {
  refuseUnless(request, "key.manage");
  const isOwn = request.query.has("own");
  const all = request.settings();
  const set = all.filter(({ source }) => source !== "default");
  const settings = isOwn ? set : all;
  const groups = [...new Set(settings.map(({ group }) => group))];
  const notifies = set.some(({ name }) => name.startsWith("NEXUS_NOTIFY_"));
  const actions = notifies && request.may("notification.test") && (
    <PostForm request={request} action={`${path}/notify`}>
      <button class="quiet" type="submit">Send a test notification</button>
    </PostForm>
  );
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
        <details class="settings" open={isOwn}>
          <summary>{group}</summary>
          <Table caption={group} columns={columns} rows={settings.filter((each) => each.group === group).map(rowOf)} />
        </details>
      ))}
    </>
  );
  return consolePage(request, { title: "Settings", section: path, actions, content });
}

function rowOf({ name, value, source, meaning }: SettingView): TableRow {
  return {
    cells: [
      <><code>{name}</code><span class="soft block">{meaning}</span></>,
      <bdi>{value}</bdi>,
      source === "default" ? <span class="soft">default</span> : <b>{source}</b>,
    ],
  };
}

/** What each receiver of notifications makes of a test. */
export async function testNotifications(request: PageRequest): Promise<HttpAnswer> {
  const { receivers } = await request.call(NotificationService.method.testReceivers, {});
  const result = (taken: boolean, reason: string) =>
    taken ? <Chip tone="good">Taken</Chip> : <><Chip tone="bad">Not taken</Chip> <code>{reason}</code></>;
  const content = (
    <div class="card narrow">
      <Facts of={receivers.map(({ name, taken, reason }) => [name, result(taken, reason)] as const)} />
      <p><a href={path}>Go to the settings</a></p>
    </div>
  );
  return consolePage(request, { title: "Test of the notifications", section: path, content });
}

/** The daemon's settings with where each came from; what may be a secret is left out. @param given the arguments of the process */
export function settingsOf(
  settings: readonly Setting[],
  environment: NodeJS.ProcessEnv,
  given: readonly string[] = process.argv,
): readonly SettingView[] {
  const flags = settings.flatMap(({ flag = "" }) => flag.slice(2) || []);
  const options = Object.fromEntries(flags.map((flag) => [flag, { type: "string" as const }]));
  const { values } = parseArgs({ args: [...given], options, strict: false });
  return settings
    .filter(({ group }) => group !== commandGroup)
    .map((setting) => {
      const { group, name, meaning, flag, kind } = setting;
      // One that stands alone is `true`.
      const argument = values[flag?.slice(2) ?? ""]?.toString();
      const value = argument ?? (environment[name]?.trim() || undefined);
      // What stands before an @ may be a password.
      const isHidden = kind.isHidden === true || value?.includes("@") === true;
      const source =
        argument !== undefined ? "command line" : value !== undefined ? "environment" : "default";
      const text = value === undefined ? defaultOf(setting) : isHidden ? "set, not shown" : value;
      return { group, name, meaning, source, value: text };
    });
}
