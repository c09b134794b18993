import { fileOf } from "./documents.js";
import { client } from "./hosts.js";
import type { Typed } from "./terminal.js";

/** How one command is walked; by itself it is typed, and ends with 0. */
export interface Step {
  /** Why it is not typed here, and where it is tried. */
  readonly cannot?: string;
  /** Typed first, in the same window. */
  readonly before?: string;
  readonly typed?: readonly Typed[];
  /** What stands for words of the document: a pattern takes the last match in what the windows have shown. */
  readonly words?: Readonly<Record<string, string | RegExp>>;
  /** In what it shows, or `after` shows. */
  readonly shows?: RegExp;
  /** Typed behind it: shows that it did what the page says. */
  readonly after?: string;
  readonly ends?: number;
  /** It goes on: Ctrl-C once it has shown this. */
  readonly until?: RegExp;
  /** Typed into it at once, where it goes on. */
  readonly keys?: string;
  /** Whether the daemon is stopped meanwhile, or this command is the daemon from here on. */
  readonly daemon?: "stopped" | "this";
  /** Saved as a program of this name: it is a script. */
  readonly program?: string;
}

export interface Walk {
  /** How the daemon is started; by itself `nexusd serve`, as README says. Empty for none. */
  readonly serve?: string;
  /** Typed before the first command: what the page takes for granted. */
  readonly given?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly programs?: Readonly<Record<string, string>>;
  /** Where the commands are typed; by itself the home folder. */
  readonly inCheckout?: boolean;
  /** By the beginning of the command: the longest that fits. */
  readonly steps: Readonly<Record<string, Step>>;
}

const engine = "needs an engine of docker: npm run test:deploy follows the Dockerfile";
const cluster = "needs a cluster: npm run test:kubernetes, npm run test:deploy";
const fleet = "needs PostgreSQL over TLS, and several machines: npx vitest run --project fleet";
const java = "needs Java, inside nexusd run: npm run test:egress -- --only Java";
const envoy = "needs envoy: npm run test:proxy";
const mcpServer = "needs an MCP server with an authorization server: npm run test:mcp-conformance";
const broker = "needs a broker of Nexus and its database: npx vitest run test/ext/nexus_import";

const yes = [["[y/N]", "y\r"]] as const;
const asksForSecret = {
  typed: [["lient secret", `${client.secret}\r`]],
  words: { YOUR_CLIENT_ID: client.id },
} satisfies Step;
const callsTheApi = "#!/bin/sh\nexec curl -sSf https://api.github.com/user\n";
const login = /"login": ?"ada"/;
const uuid = /\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22})\b/g;
const heldId = /^([0-9a-f]{16}) /gm;
const key = /\b(nxk_[\w-]+)/g;

/** GitHub as README adds it, and connected. */
const github = [
  `echo ${client.secret} | nexusd provider add github --client-id ${client.id} --scopes read:user --client-secret-file -`,
  "nexusd connect github",
];
const imported = (name: string, fields: object): string =>
  `echo '${JSON.stringify(fields)}' | nexusd connections import ${name} --file -`;
const withKey = (name: string): string =>
  `nexusd provider add ${name} --auth-type api_key; ${imported(name, { api_key: "walk-static-key" })}`;

/** A request that a rule holds, of a program in the background. */
const held =
  "(nexusd run -- curl -s -X POST -d '{}' https://api.github.com/user/repos >/dev/null 2>&1 &); " +
  "until nexusd approvals list --json | grep -q id; do sleep 0.2; done; nexusd approvals list";

/** A script that is given a waiting request, whose caller has a name that a chat could take for markup. */
function told(chat: string, secret: string): Step {
  const data = { caller: 'key:<b>&"x"', provider: "github", link: "https://nexusd.example/a" };
  return {
    program: `tell-${chat}`,
    words: { "/etc/nexusd/": "" },
    before: `(umask 077; echo '${secret}' > ${chat}.curl)`,
    after: `echo '${JSON.stringify({ type: "approval.waiting", data })}' | tell-${chat}`,
  };
}

export const walks: Readonly<Record<string, Walk>> = {
  "README.md": {
    inCheckout: true,
    steps: {
      "npm ci": { cannot: "needs the registry: npm run test:package" },
      "npm link": { cannot: "typed first of all, when the home is made" },
      "nexusd provider add github": asksForSecret,
      "nexusd connect github --user ada": { shows: /Connected to github/ },
      "nexusd token github/ada": { shows: login },
      "acquire '": { shows: /"token"/ },
      "docker ": { cannot: engine },
      "nexusd keys revoke ci": { typed: yes },
      "nexusd restore": {
        daemon: "stopped",
        before: "mkdir before && mv ~/.local/share/nexusd/*mdb* before",
      },
    },
  },
  "docs/access.md": {
    inCheckout: true,
    given: github,
    steps: {
      "nexusd keys revoke ci": { typed: yes },
      // The file names two providers, and the page adds one.
      "nexusd policy check examples/policy.yaml": {
        ends: 1,
        shows: /examples\/policy\.yaml:11: providers: there is no provider slack/,
      },
      "nexusd policy explain --principal key:ci": {
        before: "nexusd connections show github",
        words: { CONNECTION_ID: uuid },
      },
    },
  },
  "docs/console.md": { steps: { "nexusd open": { shows: /http:\/\/127\.0\.0\.1:/ } } },
  "docs/egress.md": {
    serve: "NEXUS_EGRESS_LISTEN=127.0.0.1:8093 nexusd serve",
    given: github,
    files: { agent: callsTheApi },
    programs: { claude: callsTheApi, code: callsTheApi, python: callsTheApi },
    steps: {
      "nexusd run -- curl": { shows: login },
      "nexusd run --allow github --read-only": { shows: login },
      "nexusd run --isolate -- ./agent": {
        before: "mkdir work; cp agent work; cd work; chmod +x agent",
        shows: login,
      },
      "export HTTPS_PROXY=http://ada:secret": {
        cannot: "needs the proxy of a company: npx vitest run test/outbound test/ext/egress",
      },
      "awk ": { cannot: java },
      "keytool ": { cannot: java },
      "java ": { cannot: java },
      "export HTTPS_PROXY": { before: "nexusd connect github/ada", words: { KEY: key } },
      "curl --cacert": { shows: login },
      "nexusd run --isolate --share ~/.local -- claude": { before: "cd work", shows: login },
      "nexusd run --isolate --share ~/.codex": {
        before:
          "mkdir -p ~/.codex ~/.npm-global/bin; cp ~/.local/bin/claude ~/.npm-global/bin/codex; " +
          "export PATH=$PATH:~/.npm-global/bin; cd work",
        shows: login,
      },
      "nexusd run --isolate --share ~/.gemini": {
        before:
          "mkdir -p ~/.gemini; cp ~/.local/bin/claude ~/.npm-global/bin/gemini; " +
          "export PATH=$PATH:~/.npm-global/bin; cd work",
        shows: login,
      },
      "nexusd run -- code": { shows: login },
      "docker ": { cannot: engine },
    },
  },
  "docs/fleet.md": {
    serve: "",
    steps: {
      "export NEXUS_STORE=": { cannot: fleet },
      "export NEXUS_ENCRYPTION_KEY_FILE=": { cannot: fleet },
      "nexusd fleet ": { cannot: fleet },
      "NEXUS_FLEET_LISTEN=": { cannot: fleet },
      "NEXUS_CONSOLE_LISTEN=": { cannot: fleet },
      "psql ": { cannot: fleet },
      "NEXUS_DATA_DIR=/var/lib/nexusd-restored nexusd restore": { cannot: fleet },
      "NEXUS_UPSTREAM=": { cannot: fleet },
    },
  },
  "docs/grants.md": {
    given: [
      ...github,
      "nexusd manifest apply --yes --file acme.yaml",
      "nexusd connect acme",
      "echo walk-secret >secret.txt",
      "openssl genrsa -out app.private-key.pem 2048 2>/dev/null",
      "jq -n --rawfile key app.private-key.pem '{type: \"service_account\", private_key: $key}' >key.json",
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=nexus -keyout client.key -out client.pem 2>/dev/null",
      "echo eyJhbGciOiJub25lIn0.e30.x >token",
    ],
    files: {
      "acme.yaml": `providers:
  - name: acme
    issuer: https://login.acme.example
    enable_discovery: true
    client_id: ${client.id}
    client_secret: ${client.secret}
    scopes: [openid, offline_access, "invoices:read"]
    oauth2_options: { token_exchange: rfc8693 }
`,
    },
    steps: {
      "nexusd connect github --device": { shows: /WALK-1234/ },
      "curl -sS --unix-socket": { shows: /"authUrl":/ },
      "nexusd provider add acme": { before: "nexusd provider delete acme --yes" },
      "nexusd connect bank && grpcurl": {
        cannot: "needs grpcurl, and a provider that binds tokens: npm run test:interop",
      },
      "nexusd serve --signing-key-files": {
        daemon: "this",
        words: { "/run/secrets/robot.pem": "$HOME/app.private-key.pem" },
      },
      "nexusd provider add github-app --var installation_id=12345678 --client-id Iv1.8a61f9b3a7aba766 --client-key-source":
        {
          before: "nexusd provider delete github-app --yes",
        },
      "nexusd serve --client-assertion-files": {
        daemon: "this",
        words: { "/var/run/secrets/nexus/token": "$HOME/token" },
      },
    },
  },
  "docs/kubernetes.md": {
    serve: "",
    steps: {
      "docker ": { cannot: engine },
      "kubectl ": { cannot: cluster },
      "helm ": { cannot: cluster },
      "password=$(kubectl": { cannot: cluster },
      "cat /etc/ssl/certs": { cannot: cluster },
      "for kind in connections": { cannot: cluster },
    },
  },
  "docs/mcp-servers.md": {
    serve: "",
    steps: {
      "nexusd connect https://mcp.example.com/mcp": { cannot: mcpServer },
      "nexusd token mcp-example-com": { cannot: mcpServer },
    },
  },
  "docs/mcp.md": {
    given: github,
    steps: {
      "nexusd mcp": { until: /"error"/, keys: "hello\r" },
      "nexusd mcp --listen": { until: /127\.0\.0\.1:8095/ },
    },
  },
  "docs/moving-from-nexus.md": {
    serve: "",
    steps: { "nexusd import nexus": { cannot: broker } },
  },
  "docs/operations.md": {
    given: github,
    programs: { sendmail: "#!/bin/sh\ncat\n" },
    steps: {
      "docker ": { cannot: engine },
      "nexusd keyring retire": {
        before: "nexusd keyring",
        typed: yes,
        words: { KEY_ID: /^\s*(\w+)\s.*\b0\b/gm },
      },
      "nexusd restore": {
        daemon: "stopped",
        before: "mkdir before && mv ~/.local/share/nexusd/*mdb* before",
      },
      "OTEL_EXPORTER_OTLP_ENDPOINT=": { daemon: "this" },
      "NEXUS_NOTIFY_URL=": { daemon: "this" },
      "#!/bin/sh\njq -r '\"Subject": {
        program: "tell-by-mail",
        after: `echo '{"data": {"provider": "github", "message": "consent again"}}' | tell-by-mail`,
        shows: /Subject: github needs you\n\nconsent again/,
      },
      "#!/bin/sh\njq '{topic": {
        ...told("ntfy", 'header = "Authorization: Bearer walk-chat-secret"'),
        shows:
          /"title":"approval\.waiting","message":"key:<b>&\\"x\\" at github\. ","click":"https:\/\/nexusd\.example\/a"/,
      },
      "#!/bin/sh\njq 'def plain": {
        ...told("slack", 'url = "https://hooks.slack.com/services/walk-chat-secret"'),
        shows: /approval\.waiting: key:&lt;b&gt;&amp;"x" at github\. {2}https:\/\/nexusd\.example\/a/,
      },
      "#!/bin/sh\njq '{chat_id": {
        ...told("telegram", 'url = "https://api.telegram.org/botwalk-chat-secret/sendMessage"'),
        shows: /"ok":true.*approval\.waiting: key:<b>&\\"x\\" at github\. \\nhttps:\/\/nexusd\.example\/a/,
      },
      "nexusd completion fish": { before: "mkdir -p ~/.config/fish/completions" },
    },
  },
  "docs/providers.md": {
    files: { "nexus-providers.yaml": fileOf("docs/providers.md", "# nexus-providers.yaml") },
    steps: {
      "nexusd provider add github": asksForSecret,
      "nexusd provider add google": asksForSecret,
      "nexusd provider add acme": asksForSecret,
      "nexusd watch": { until: /google/ },
      "nexusd connect weather": { typed: [["API key", "walk-key\r"]] },
      "nexusd serve --api-ca-files": {
        daemon: "this",
        before: "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=corp -keyout ~/corp.key -out ~/corp.pem",
        words: { "/etc/ssl/corp-ca.pem": "$HOME/corp.pem" },
      },
      "nexusd manifest plan": { before: "export GITHUB_CLIENT_SECRET=s" },
      "nexusd serve --providers": { daemon: "this" },
    },
  },
  "docs/proxies.md": {
    serve: "",
    steps: {
      "export NEXUS_SOCKET": { cannot: envoy },
      "export NEXUS_API_HOST": { cannot: envoy },
      "envsubst <": { cannot: envoy },
    },
  },
  "docs/quickstart.md": {
    serve: "",
    steps: {
      "nexusd demo-provider": { until: /The demo provider runs at/ },
      "nexusd serve --allow-loopback-providers": { daemon: "this" },
      "nexusd provider add demo": {
        before:
          "(nexusd demo-provider >demo.log 2>&1 & echo $! >demo.pid); until grep -q 'runs at' demo.log; do sleep 0.2; done",
      },
      "nexusd connect demo": { shows: /Connected to demo/ },
      "nexusd curl demo/ada": { shows: login },
      "nexusd token demo/ada": { shows: login },
      "nexusd watch": { until: /demo/ },
      "nexusd connections revoke demo/ada": { typed: yes },
      "nexusd provider delete demo": { typed: yes, after: "kill $(cat demo.pid)" },
    },
  },
  "docs/rules.md": {
    serve:
      "NEXUS_RECORD_REQUESTS=true NEXUS_EGRESS_LISTEN=127.0.0.1:8093 NEXUS_APPROVALS_LISTEN=127.0.0.1:8099 NEXUS_APPROVALS_URL=https://approve.example.com nexusd serve --policy policy.yaml",
    given: [...github, withKey("slack"), withKey("notion")],
    files: {
      "policy.yaml":
        'rules:\n  - providers: [github]\n    when: request.method == "POST"\n    then: ask\n    for: [session]\n  - then: allow\n',
      "cases.yaml": fileOf("docs/rules.md", "policy: policy.yaml"),
      "plan.yaml": fileOf("docs/rules.md", "reason: Tell the team"),
    },
    programs: { python: "#!/bin/sh\nexit 0\n" },
    steps: {
      "export HTTPS_PROXY": { words: { KEY: key } },
      "nexusd revoke claude github": { typed: yes },
      "nexusd stop claude": { typed: yes },
      "nexusd stop --user": { before: "nexusd grant bot github slack --lease 10m --user ada", typed: yes },
      "nexusd stop jwt:": { typed: yes },
      "export NEXUS_ADDRESS": { before: "nexusd grant bot slack --lease 10m", words: { KEY: key } },
      "nexusd approvals approve ID": { before: held, words: { ID: heldId }, typed: yes },
      "nexusd approvals request --plan": { shows: /^plan [0-9a-f]{16} waits for a person/m },
      "nexusd approvals deny ID": { before: held, words: { ID: heldId } },
      "nexusd approvers add ada": { shows: /^https:\/\/approve\.example\.com\/register\?code=/m },
      "nexusd approvers remove ada": { typed: yes },
      "nexusd policy suggest": { before: "nexusd run -- curl -sSf https://api.github.com/user" },
      "nexusd policy replay": { shows: /^0 of \d+ templates would no longer be allowed/m },
    },
  },
  "docs/tools.md": {
    given: [
      ...github,
      "nexusd provider add twilio",
      imported("twilio", { username: "AC1", password: "t" }),
      withKey("pypi"),
    ],
    files: {
      "call.js": "console.log(process.env.TWILIO_SID, process.env.TWILIO_TOKEN)\n",
      ".mcp.json": '{"mcpServers":{"weather":{"command":"cat","env":{"WEATHER_TOKEN":"walk-key-12345"}}}}',
      ".env": "SERVICE_TOKEN=walk-key-67890\n",
    },
    programs: {
      gh: callsTheApi.replace("curl", 'curl -H "Authorization: token $GH_TOKEN$GITHUB_TOKEN"'),
    },
    steps: {
      "nexusd exec --env GITHUB_TOKEN=github": { shows: login },
      "nexusd exec --env TWILIO_SID": { shows: /AC1 t/ },
      "nexusd curl github '/user/repos?per_page=5'": { shows: login },
      "npm --userconfig": { cannot: "needs a registry: test/daemon/tools/token_formats.test.ts" },
      "pip ": { cannot: "needs an index: test/daemon/tools/token_formats.test.ts" },
      '#!/bin/sh\n[ "$2" = pypi.example ]': {
        program: "keyring",
        after: "keyring get pypi.example oauth2",
        shows: /walk-static-key/,
      },
      "nexusd exec --env GH_TOKEN=github": { shows: login },
      "nexusd adopt --dry-run": { shows: /WEATHER_TOKEN/ },
      "nexusd adopt .mcp.json": {
        typed: yes,
        shows: /rewrote|nexusdPlaceholder/,
        after: "cat .mcp.json .env",
      },
      "#!/bin/sh\nexec nexusd docker-credential": {
        program: "docker-credential-nexus-github",
        after: "echo ghcr.io | docker-credential-nexus-github get",
        shows: /"Secret"/,
      },
    },
  },
};
