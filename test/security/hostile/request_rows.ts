import { type Body, badType, canary, type Line, letters, type RpcRow, table, unknownId } from "./row.js";

/** Requests to an API that are shown for rules to judge, and those that wait for a person. */

const shown: Body = { method: "GET", url: "https://api.example.com/" };

/** @param rest of a message that is good but for its request */
function shownRows(rpc: string, rest: Body): RpcRow[] {
  const line = (field: string, name: string, change: Body, says: RegExp): Line => [
    `request.${field}`,
    name,
    { ...rest, request: { ...shown, ...change } },
    says,
  ];
  const headers = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`x-${at}`, "1"]));
  return table(rpc, [
    line("method", "a line end", { method: "GET\n" }, /a method of up to 40/),
    line("method", "41 characters", { method: letters(41) }, /a method of up to 40/),
    line("url", "a script", { url: "javascript:alert(1)" }, /http or https URL/),
    line("url", "a user", { url: `https://ada:${canary}@api.example.com/` }, /http or https URL/),
    line("url", "16 385 characters", { url: `https://a/${letters(16_375)}` }, /16384/),
    line("headers", "101", { headers }, /100/),
    line("body_sha256", "31 bytes", { bodySha256: new Uint8Array(31) }, /32/),
    line("body", "65 537 bytes", { body: new Uint8Array(65_537) }, /65536/),
    line("session", "a path", { session: "../x" }, /letters, digits/),
    line("session", "65 characters", { session: letters(65) }, /64/),
    [["request.body_size"], "a text for a number", '{"request": {"bodySize": "many"}}', badType],
    [["request.shows_headers"], "a text for a flag", '{"request": {"showsHeaders": "yes"}}', badType],
    [["request.repeats"], "a text for a flag", '{"request": {"repeats": "yes"}}', badType],
  ]);
}

/** A plan that is good, but for this. */
function planRows(): RpcRow[] {
  const planned = { provider: "github", method: "POST", url: "https://api.example.com/x" };
  const plan = { userId: "ada", reason: "a task", lifetime: { seconds: 3_600n }, requests: [planned] };
  const line = (field: string, name: string, change: Body, says: RegExp): Line => [
    `plan.${field}`,
    name,
    { subject: { case: "plan", value: { ...plan, ...change } } },
    says,
  ];
  const part = (field: string, name: string, change: Body, says = /./, at = field): Line => [
    `plan.requests.${field}`,
    name,
    { subject: { case: "plan", value: { ...plan, requests: [{ ...planned, ...change }] } } },
    says,
    `plan.requests[0].${at}`,
  ];
  const fields = Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`f${at}`, "1"]));
  return table("ApprovalService/RequestPlan", [
    [["plan", "id"], "nothing", {}, /exactly one/, "subject"],
    [["id"], "65 characters", { subject: { case: "id", value: letters(65) } }, /64/],
    [["id"], "no character", '{"id": ""}', /must not be empty/],
    line("user_id", "nothing", { userId: "" }, /must not be empty/),
    line("user_id", "257 characters", { userId: letters(257) }, /256/),
    line("user_id", "a line break", { userId: "a\nb" }, /./),
    line("reason", "nothing", { reason: "" }, /must not be empty/),
    line("reason", "1 001 characters", { reason: letters(1_001) }, /1000/),
    [
      ["plan.lifetime"],
      "nothing",
      { subject: { case: "plan", value: { ...plan, lifetime: undefined } } },
      /./,
    ],
    line("lifetime", "59 s", { lifetime: { seconds: 59n } }, /./),
    line("lifetime", "a second more than a day", { lifetime: { seconds: 86_401n } }, /./),
    line("requests", "none", { requests: [] }, /1/),
    line("requests", "31", { requests: many(planned).slice(0, 31) }, /30/),
    part("provider", "a capital", { provider: "GitHub" }),
    part("label", "65 characters", { label: letters(65) }, /64/),
    part("label", "a control character", { label: "\u0007" }),
    part("method", "small letters", { method: "post" }),
    part("url", "a script", { url: "javascript:alert(1)" }),
    part("url", "a user", { url: `https://ada:${canary}@api.example.com/` }),
    part("url", "a template of the host", { url: "https://{any}.example.com/" }),
    part("url", "a template that is none", { url: "https://api.example.com/{all}" }, /stands for nothing/),
    part("url", "a path that climbs", { url: "https://api.example.com/a/../b" }, /several ways/),
    part("url", "1 025 characters", { url: `https://a/${letters(1_015)}` }, /1024/),
    part("body", "21 fields", { body: fields }, /20/),
    part(
      "body",
      "a name of 101 characters",
      { body: { [letters(101)]: "x" } },
      /100/,
      `body["${letters(101)}"]`,
    ),
    part("body", "1 001 characters", { body: { to: letters(1_001) } }, /1000/, 'body["to"]'),
    part("count", "0", { count: 0 }),
    part("count", "1 001", { count: 1_001 }, /1000/),
  ]);
}

const session = { id: "one" };
const many = (one: Body): Body[] => Array.from({ length: 201 }, () => one);

const decide = "ApprovalService/DecideHeldRequest";
const decided: Body = { id: letters(12), digest: new Uint8Array(32) };

const egress = [
  ...table("EgressService/ListEgressSessions", [
    ["max_entries", "negative", { maxEntries: -1 }, /0/],
    ["max_entries", "1001", { maxEntries: 1_001 }, /1000/],
  ]),
  ...table("EgressService/ReportEgressSession", [
    ["session", "nothing", {}, /./],
    ["session.id", "a path", { session: { id: "../x" } }, /letters, digits/],
    ["session.user_id", "256 characters", { session: { ...session, userId: letters(256) } }, /255/],
    ["session.program", "256 characters", { session: { ...session, program: letters(256) } }, /255/],
    ["session.uses", "201", { session: { ...session, uses: many({ provider: "a" }) } }, /200/],
    [
      "session.uses[0].provider",
      "256 characters",
      { session: { ...session, uses: [{ provider: letters(256) }] } },
      /255/,
    ],
    ["session.refusals", "201", { session: { ...session, refusals: many({ reason: "a" }) } }, /200/],
    [
      "session.refusals[0].reason",
      "65 characters",
      { session: { ...session, refusals: [{ reason: letters(65) }] } },
      /64/,
    ],
    [["session.principal"], "a number", '{"session": {"principal": 1}}', badType],
    [["session.since"], "no time", '{"session": {"since": "yesterday"}}', badType],
    [["session.until"], "no time", '{"session": {"until": "tomorrow"}}', badType],
    [["session.uses.provider"], "a number", '{"session": {"uses": [{"provider": 1}]}}', badType],
    [["session.refusals.reason"], "a number", '{"session": {"refusals": [{"reason": 1}]}}', badType],
    [["session.uses.status"], "a text", '{"session": {"uses": [{"status": "ok"}]}}', badType],
    [["session.uses.count"], "negative", '{"session": {"uses": [{"count": -1}]}}', badType],
    [["session.refusals.count"], "negative", '{"session": {"refusals": [{"count": -1}]}}', badType],
    ["session.labels", "65", { session: { ...session, labels: many({ label: "a" }).slice(0, 65) } }, /64/],
    ...["label", "request", "rule", "caller", "session"].map((name): Line => {
      const body = `{"session": {"labels": [{"${name}": 1}]}}`;
      return [[`session.labels.${name}`], "a number", body, badType];
    }),
    [["session.labels.set_at"], "no time", '{"session": {"labels": [{"setAt": "noon"}]}}', badType],
    [["ended"], "a text for a flag", '{"ended": "yes"}', badType],
  ]),
];

export const requestRows: readonly RpcRow[] = [
  ...egress,
  ...shownRows("TokenService/GetToken", { connectionId: unknownId }),
  ...shownRows("TokenService/AcquireToken", { providerName: "oauth2", userId: "ada" }),
  ...shownRows("AccessService/ExplainAccess", { principal: "key:ci", action: "token.read" }),
  ...shownRows("ApprovalService/FindApprovalPage", {}),
  ...table("ApprovalService/ListHeldRequests", [
    ["link", "65 characters", { link: letters(65) }, /64/],
    ["brief", "a text for a flag", '{"brief": "yes"}', badType],
  ]),
  ...["GetToken", "RefreshToken"].flatMap((rpc) =>
    table(`TokenService/${rpc}`, [
      ["include_id_token", "a text for a flag", '{"includeIdToken": "yes"}', badType],
    ]),
  ),
  ...shownRows("ApprovalService/FindApprovalPage", {}),
  ...table("ApprovalService/ListHeldRequests", [["link", "65 characters", { link: letters(65) }, /64/]]),
  ...planRows(),
  ...["AddApprover", "RemoveApprover"].flatMap((rpc) =>
    table(`ApprovalService/${rpc}`, [
      ["name", "nothing", {}, /./],
      ["name", "an upper-case letter", { name: "Ada" }, /./],
      ["name", "a principal", { name: "passkey:ada" }, /./],
      ["name", "a line break", { name: "a\nb" }, /./],
      ["name", "64 characters", { name: letters(64) }, /./],
    ]),
  ),
  ...table("ApprovalService/StopPrincipal", [
    ["principal", "nothing", {}, /./],
    ["principal", "an API key", { principal: "key:ci" }, /jwt:SUBJECT, cert:NAME or uid:NUMBER/],
    ["principal", "a line break", { principal: "jwt:a\nb" }, /./],
    ["principal", "2054 characters", { principal: `jwt:${letters(2050)}` }, /2053/],
    ["principal", "the owner", { principal: `uid:${process.getuid?.()}` }, /is the user that nexusd runs as/],
    ["lift", "a text for a flag", '{"lift": "yes"}', badType],
  ]),
  ...table(decide, [
    ["id", "nothing", { ...decided, id: "" }, /./],
    ["id", "65 characters", { ...decided, id: letters(65) }, /64/],
    ["digest", "31 bytes", { ...decided, digest: new Uint8Array(31) }, /32/],
    ["extent", "for ever", { ...decided, extent: "ever" }, /./],
    ["approve", "a text for a flag", '{"approve": "yes"}', badType],
    ["reason", "301 characters", { ...decided, reason: letters(301) }, /300/],
    ["reason", "a line break", { ...decided, reason: "no\nyes" }, /./],
  ]),
];
