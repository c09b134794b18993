/** What an API reads by, where its methods of HTTP do not say it. */
export interface ApiReads {
  /** Canonical names; `*.example.com` is every name below. They are judged by their hosts, so profiles made by hand are judged as well. */
  readonly hosts: readonly string[];
  /** What POST, and where `isClosed` GET, reads by: paths, in which `*` is a part of one segment. */
  readonly paths?: readonly string[];
  /** GET writes too, except at these paths. */
  readonly isClosed?: true;
  /** A parameter of the query, in lower case, names what a request does, by GET too: it reads where its value is one of these. */
  readonly action?: { readonly parameter: string; readonly reads: RegExp };
}

/** Methods of @slack/web-api that change nothing. What is not here writes, so that a new method is refused until somebody has read about it. */
const slackMethods = `
  admin.analytics.getFile admin.apps.activities.list admin.apps.approved.list admin.apps.config.lookup
  admin.apps.requests.list admin.apps.restricted.list admin.auth.policy.getEntities admin.barriers.list
  admin.conversations.ekm.listOriginalConnectedChannelInfo admin.conversations.getConversationPrefs
  admin.conversations.getCustomRetention admin.conversations.getTeams admin.conversations.lookup
  admin.conversations.restrictAccess.listGroups admin.conversations.search admin.emoji.list
  admin.functions.list admin.functions.permissions.lookup admin.inviteRequests.approved.list
  admin.inviteRequests.denied.list admin.inviteRequests.list admin.roles.listAssignments
  admin.teams.admins.list admin.teams.list admin.teams.owners.list admin.teams.settings.info
  admin.usergroups.listChannels admin.users.getExpiration admin.users.list admin.users.session.getSettings
  admin.users.session.list admin.workflows.permissions.lookup admin.workflows.search api.test
  apps.event.authorizations.list apps.manifest.validate auth.teams.list auth.test blocks.validate
  bookmarks.list bots.info calls.info canvases.sections.lookup chat.getPermalink chat.scheduledMessages.list
  conversations.history conversations.info conversations.list conversations.listConnectInvites
  conversations.members conversations.replies conversations.requestSharedInvite.list dnd.info dnd.teamInfo
  emoji.list files.info files.list files.remote.info files.remote.list openid.connect.userInfo pins.list
  reactions.get reactions.list reminders.info reminders.list search.all search.files search.messages
  slackLists.download.get slackLists.items.info slackLists.items.list stars.list team.accessLogs
  team.billableInfo team.billing.info team.externalTeams.list team.info team.integrationLogs
  team.preferences.list team.profile.get usergroups.list usergroups.users.list users.conversations
  users.discoverableContacts.lookup users.getPresence users.identity users.info users.list users.lookupByEmail
  users.profile.get workflows.featured.list
`;

/** What is not known here reads by GET, HEAD, and OPTIONS. Of GraphQL and batches only the body says what they do: their POST writes. */
export const apiReads: readonly ApiReads[] = [
  {
    // Any method is called by GET or by POST.
    hosts: ["slack.com", "*.slack.com", "slack-gov.com", "*.slack-gov.com"],
    isClosed: true,
    paths: [
      ...slackMethods
        .trim()
        .split(/\s+/)
        .map((method) => `/api/${method}`),
      ...["/files-pri/*/*", "/files-pri/*/download/*", "/files-tmb/*/*"],
    ],
  },
  {
    // AWS: APIs of the query protocol take GET as well.
    hosts: ["*.amazonaws.com", "*.amazonaws.com.cn"],
    action: { parameter: "action", reads: /^(Describe|List)[A-Z]/ },
  },
  {
    // Meta: a parameter overrides the method.
    hosts: ["*.facebook.com", "graph.instagram.com", "graph.threads.net"],
    action: { parameter: "method", reads: /^get$/i },
  },
  { hosts: ["wbsapi.withings.net"], action: { parameter: "action", reads: /^(get|list)/ } },
  { hosts: ["api.github.com"], paths: ["/markdown", "/markdown/raw"] },
  {
    hosts: ["*.googleapis.com"],
    action: { parameter: "$httpmethod", reads: /^get$/i },
    paths: [
      "/calendar/v3/freeBusy",
      "/v4/spreadsheets/*:getByDataFilter",
      "/v4/spreadsheets/*/values:batchGetByDataFilter",
      "/v4/spreadsheets/*/developerMetadata:search",
      ...["v1beta", "v1alpha"].flatMap((version) =>
        ["runReport", "batchRunReports", "runPivotReport", "runRealtimeReport"].map(
          (method) => `/${version}/properties/*:${method}`,
        ),
      ),
    ],
  },
  {
    hosts: ["graph.microsoft.com"],
    paths: ["v1.0", "beta"].flatMap((version) => [
      `/${version}/search/query`,
      `/${version}/me/calendar/getSchedule`,
      `/${version}/users/*/calendar/getSchedule`,
    ]),
  },
  {
    hosts: ["api.notion.com"],
    paths: ["/v1/search", "/v1/databases/*/query", "/v1/data_sources/*/query"],
  },
  {
    // Every method is called by POST.
    hosts: ["api.dropboxapi.com", "content.dropboxapi.com"],
    paths: [
      ...["check/user", "file_requests/get", "file_requests/list_v2", "file_requests/list/continue"],
      ...["files/download", "files/download_zip", "files/export", "files/get_metadata", "files/get_preview"],
      ...["files/get_temporary_link", "files/get_thumbnail_v2", "files/get_thumbnail_batch"],
      ...["files/list_folder", "files/list_folder/continue", "files/list_folder/get_latest_cursor"],
      ...["files/list_revisions", "files/search_v2", "files/search/continue_v2", "files/tags/get"],
      ...["sharing/get_file_metadata", "sharing/get_folder_metadata", "sharing/get_shared_link_file"],
      ...[
        "sharing/get_shared_link_metadata",
        "sharing/list_file_members",
        "sharing/list_file_members/continue",
      ],
      ...["sharing/list_folder_members", "sharing/list_folder_members/continue", "sharing/list_folders"],
      ...["sharing/list_folders/continue", "sharing/list_received_files", "sharing/list_shared_links"],
      ...[
        "users/get_account",
        "users/get_account_batch",
        "users/get_current_account",
        "users/get_space_usage",
      ],
    ].map((method) => `/2/${method}`),
  },
  {
    hosts: ["api.hubapi.com"],
    paths: ["search", "batch/read"].flatMap((what) => [
      `/crm/v3/objects/*/${what}`,
      ...(what === "search" ? [] : ["/crm/v4/associations/*/*/batch/read"]),
    ]),
  },
  { hosts: ["api.airtable.com"], paths: ["/v0/*/*/listRecords"] },
  {
    hosts: ["*.atlassian.net", "api.atlassian.com"],
    paths: ["", "/ex/jira/*"].flatMap((base) =>
      ["2", "3"].map((version) => `${base}/rest/api/${version}/search/jql`),
    ),
  },
  {
    hosts: ["*.algolia.net", "*.algolianet.com"],
    paths: ["/1/indexes/*/query", "/1/indexes/*/queries"],
  },
  { hosts: ["*.pinecone.io"], paths: ["/query"] },
  { hosts: ["api.tavily.com", "api.exa.ai"], paths: ["/search"] },
];
