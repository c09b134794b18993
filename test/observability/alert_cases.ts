/** A series as promtool writes them; job and instance are added. */
export type Series = readonly [name: string, labels: Readonly<Record<string, string>>, values: string];

export interface AlertCase {
  readonly alert: string;
  /** One sample a minute. */
  readonly series: readonly Series[];
  /** Minutes after the start at which nothing may fire. */
  readonly quietAt: number;
  /** Minutes after the start at which it fires, once. */
  readonly firesAt: number;
  /** Labels of the alert beside severity, alertname, job and instance. */
  readonly labels?: Readonly<Record<string, string>>;
  /** It is about all daemons of a job together: it names no instance. */
  readonly isOfJob?: boolean;
  /** What is special about it. */
  readonly name?: string;
}

const build: Series = ["nexus_build_info", { version: "1", node_version: "24" }, "1x120"];
const started: Series = ["process_start_time_seconds", {}, "-86400x120"];

const failing = (result: string, values: string): Series => [
  "nexus_refresh_total",
  { provider: "github", result, reason: result === "success" ? "" : "transient" },
  values,
];
const answered = (code: string, values: string): Series => [
  "nexus_rpc_requests_total",
  { method: "nexus.v1.TokenService/GetToken", code, listener: "grpc" },
  values,
];

const fires = (
  alert: string,
  quietAt: number,
  firesAt: number,
  series: readonly Series[],
  more: Pick<AlertCase, "labels" | "name" | "isOfJob"> = {},
): AlertCase => ({ alert, series, quietAt, firesAt, ...more });

/** A series of each of three hubs. */
const hubs = (name: string, ...values: readonly [string, string, string]): Series[] =>
  values.map((each, index) => [name, { instance: `hub-${index}` }, each]);

const forwarded = (outcome: string, values: string): Series => [
  "nexus_fleet_forwards_total",
  { outcome },
  values,
];

const asked = (outcome: string, values: string): Series => [
  "nexus_spoke_forwards_total",
  { outcome },
  values,
];

/** For each alert what makes it fire, and what, nearly the same, does not. */
export const alertCases: readonly AlertCase[] = [
  fires("NexusDown", 11, 14, [
    ["up", {}, "1x10 0x20"],
    ["nexus_build_info", { version: "1", node_version: "24" }, "1x10 _x20"],
  ]),
  fires("NexusRestarting", 22, 24, [build, ["process_start_time_seconds", {}, "0x20 1201 1261 1321x20"]]),
  fires("NexusRefreshesFailing", 31, 90, [failing("success", "0+1x120"), failing("failure", "0x30 0+2x60")], {
    labels: { provider: "github" },
  }),
  fires("NexusRefreshesLate", 15, 17, [["nexus_refresh_queue_lag_seconds", {}, "0x10 61+60x20"]]),
  fires("NexusTokensExpired", 20, 22, [
    ["nexus_token_time_to_expiry_seconds_bucket", { le: "0" }, "0x20 1x20"],
  ]),
  fires(
    "NexusTokensExpired",
    20,
    22,
    [["nexus_token_time_to_expiry_seconds_bucket", { le: "0.0" }, "0x20 1x20"]],
    { name: "with the bound as Prometheus 3 writes it" },
  ),
  fires(
    "NexusConnectionsNeedAttention",
    25,
    27,
    [
      ["nexus_connections", { status: "attention" }, "0x10 2x30"],
      ["nexus_connections", { status: "failed" }, "5x40"],
    ],
    { labels: { status: "attention" } },
  ),
  fires(
    "NexusConnectionsNeedAttention",
    25,
    27,
    [
      // The lead goes over meanwhile, and one hub is not scraped for a while.
      ...hubs("nexus_fleet_leader", "1x18 0x30", "0x18 1x30", "0x5 _x20 0x30"),
      ...["0x10 2x40", "0x10 2x40", "0x5 _x20 2x30"].map(
        (values, index): Series => [
          "nexus_connections",
          { status: "attention", instance: `hub-${index}` },
          values,
        ],
      ),
      ["nexus_spoke_connected", { instance: "spoke" }, "1x50"],
      ["nexus_connections", { status: "attention", instance: "spoke" }, "1x50"],
    ],
    { labels: { status: "attention" }, isOfJob: true, name: "once for all hubs and spokes" },
  ),
  fires("NexusProviderSuspended", 15, 17, [["nexus_providers_suspended", {}, "0x10 1x30"]]),
  fires("NexusNotificationsNotTaken", 30, 46, [["nexus_notifications_waiting", {}, "0 1 0 1 0x10 3x60"]]),
  fires("NexusTokenSetsUnwritten", 6, 10, [["nexus_unwritten_token_sets", {}, "0 1 0 1 0 3x20"]]),
  fires(
    "NexusTokenSetsSpooled",
    80,
    12,
    [
      ["nexus_spooled_token_sets_total", { outcome: "stored" }, "0x10 2x90"],
      ["nexus_spooled_token_sets_total", { outcome: "known" }, "0x100"],
      ["process_start_time_seconds", {}, "0x10 660x90"],
    ],
    { labels: { outcome: "stored" } },
  ),
  fires("NexusStoreSlow", 20, 45, [
    ["nexus_store_commit_duration_seconds_bucket", { le: "0.1" }, "0+10x20 200x60"],
    ["nexus_store_commit_duration_seconds_bucket", { le: "2.5" }, "0+10x80"],
    ["nexus_store_commit_duration_seconds_bucket", { le: "+Inf" }, "0+10x80"],
  ]),
  // Seven days and ten minutes after the start.
  fires("NexusCertificateExpires", 69, 72, [
    ["nexus_tls_certificate_expiry_timestamp_seconds", {}, "605400x120"],
  ]),
  fires("NexusClockSkewed", 14, 17, [["nexus_time_seconds", {}, "0+60x10 569+60x30"]]),
  fires("NexusEventLoopLags", 20, 22, [build, ["nodejs_eventloop_lag_p99_seconds", {}, "0.2x10 0.3x40"]]),
  fires("NexusMemoryHigh", 25, 27, [
    build,
    ["process_resident_memory_bytes", {}, "100000000x10 600000000x40"],
  ]),
  fires("NexusFileDescriptorsShort", 15, 17, [
    build,
    started,
    ["process_open_fds", {}, "10x10 900x40"],
    ["process_max_fds", {}, "1024x50"],
  ]),
  fires(
    "NexusRpcsFailing",
    21,
    45,
    [answered("ok", "0+100x100"), answered("not_found", "0+100x100"), answered("internal", "0x20 0+50x80")],
    { labels: { method: "nexus.v1.TokenService/GetToken" } },
  ),
  // A change of leader between two scrapes is none; that nobody leads for two minutes is.
  fires("NexusFleetWithoutLeader", 21, 33, hubs("nexus_fleet_leader", "1x19 0x40", "0x20 1x9 0x40", "0x60"), {
    isOfJob: true,
  }),
  // One that was killed is scraped no more; one that was scraped just before it lost the lead is two for one scrape.
  fires("NexusFleetTwoLeaders", 21, 34, hubs("nexus_fleet_leader", "1x20 0x40", "0x19 1x40", "0x30 1x30"), {
    isOfJob: true,
  }),
  fires("NexusFleetDatabaseSilent", 10, 13, [["nexus_fleet_silence_seconds", {}, "5x10 19 79 139 199x20"]]),
  fires("NexusFleetCopyBehind", 12, 26, [["nexus_fleet_behind_batches", {}, "0x10 3 0x10 3x20"]]),
  fires("NexusFleetForwardsLost", 20, 25, [
    forwarded("ok", "0+100x60"),
    forwarded("unreachable", "0+1x60"),
    forwarded("lost", "0x20 2x40"),
  ]),
  fires("NexusFleetForwardsUnreachable", 25, 45, [
    forwarded("ok", "0+100x60"),
    forwarded("unreachable", "0+3x25 75+50x40"),
    forwarded("lost", "0x60"),
  ]),
  fires("NexusFleetOutboxGrows", 24, 45, [["nexus_fleet_outbox_events", {}, "0 4 0 9 0x20 1+1x40"]]),
  fires(
    "NexusFleetHubsMissing",
    24,
    45,
    // A hub that is started again within its 30 seconds, or within five minutes, is not missed.
    hubs("nexus_fleet_members", "3x20 2x3 3x6 2x60", "3x20 2x3 3x6 2x60", "3x20 _x3 3x6 _x60"),
    { isOfJob: true },
  ),
  fires("NexusFleetMayNotLead", 26, 30, [["nexus_fleet_may_lead", {}, "1x10 0x2 1x8 0x40"]]),
  fires("NexusFleetLeadGivenBack", 9, 12, [["nexus_fleet_stands_back", {}, "0x10 1x5 0x20"]]),
  fires(
    "NexusFleetStandbyMissing",
    23,
    26,
    hubs("nexus_fleet_standby_wait_seconds", "0x10 5 0x10 15+30x60", "0x10 5 0x10 15+30x60", "0x90"),
    { isOfJob: true },
  ),
  fires(
    "NexusFleetCommitsFail",
    23,
    26,
    hubs("nexus_fleet_commit_wait_seconds", "0x10 5 0x10 15+30x60", "0x90", "0x90"),
    { isOfJob: true },
  ),
  fires(
    "NexusFleetAsynchronous",
    59,
    100,
    hubs("nexus_fleet_waits_for_standby", "1x30 0x90", "1x30 0x90", "0x120"),
    { isOfJob: true },
  ),
  // One that goes to another hub is silent for seconds.
  fires("NexusSpokeSilent", 24, 27, [["nexus_spoke_connected", {}, "1x10 0x3 1x6 0x40"]]),
  fires("NexusSpokeCopyOld", 41, 44, [["nexus_spoke_copy_age_seconds", {}, "30x10 60+60x60"]]),
  fires("NexusSpokeForwardsFailing", 25, 45, [
    asked("ok", "0+100x60"),
    asked("unreachable", "0+2x60"),
    asked("lost", "0+2x25 50+50x40"),
  ]),
  fires(
    "NexusSpokeForwardsFailing",
    29,
    45,
    // Two that fail are none of a link that fails, however little is asked.
    [asked("ok", "0x60"), asked("unreachable", "0x15 2x14 2+1x40"), asked("lost", "0x60")],
    { name: "where little is asked" },
  ),
];
