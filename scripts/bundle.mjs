// What is shipped, put into few files: the program, what it seldom needs, and the library `nexusd/strategies`.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, sep } from "node:path";

const require = createRequire(import.meta.url);

/** Have native code, which no bundle holds: the dependencies of the published package, and no others. */
export const installedPackages = ["fs-native-extensions", "koffi", "lmdb"];

/**
 * Packages in files of their own beside the program, so that their text is not held in memory by a daemon that does not use them. What
 * shares classes stands in one file.
 */
const carried = {
  opentelemetry: [
    "@opentelemetry/api",
    "@opentelemetry/core",
    "@opentelemetry/exporter-trace-otlp-proto",
    "@opentelemetry/resources",
    "@opentelemetry/sdk-trace-base",
  ],
  grpc: ["@grpc/grpc-js"],
  jose: ["jose"],
  pg: ["pg"],
  protovalidate: ["@bufbuild/protovalidate"],
  schemas: ["ajv/dist/2020.js", "ajv-formats"],
  "pino-pretty": ["pino-pretty"],
  re2js: ["re2js"],
  yaml: ["yaml"],
};

/** Modules that a carried package takes from the program, because the objects of both meet. */
const shared = {
  protovalidate: [
    ...["", "/codegenv2", "/reflect", "/wire", "/wkt"].map((path) => `@bufbuild/protobuf${path}`),
    "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js",
  ],
};

/** Packages of which nothing runs before something of them is used. Only what the sources use inside functions can stand here. */
const lazyPackages = [
  "@connectrpc/connect-node",
  ...carried.protovalidate,
  ...carried.schemas,
  ...carried.grpc,
  ...carried.jose,
  ...carried.pg,
  ...carried["pino-pretty"],
  ...carried.re2js,
  ...carried.yaml,
];

/** Modules of the sources that stay apart for the same reason: commands that never use them do not hold them. */
const carriedModules = { "src/cli/mcp/tools/sdk.ts": "mcp_sdk.cjs" };

const common = {
  bundle: true,
  platform: "node",
  target: "node20.19",
  // Of two builds of a package, the one of modules: what nobody asks for is left out.
  mainFields: ["module", "main"],
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
};
const short = { minifySyntax: true, minifyWhitespace: true, lineLimit: 160 };

/**
 * The files of the program, each with all that it needs, so that a process holds the text of one. A daemon is most of what runs for long: its
 * file has the one command that it is started with.
 */
const programs = {
  "daemon.cjs": `
    import { runProcess as run } from "./src/cli/process_shell.js";
    import { runServe } from "./src/cli/serve_program.js";
    export const runProcess = () => run(runServe);
    export const runDaemon = async (options) => (await import("./src/daemon/run_daemon.js")).runDaemon(options);
  `,
  "nexusd.cjs": `
    import { runProcess as run } from "./src/cli/process_shell.js";
    import { run as runAny } from "./src/cli/program.js";
    export const runProcess = () => run(runAny);
  `,
};

/**
 * Writes `bundle/` and `strategies/apply_strategy.js` into a folder that holds the compiled modules.
 *
 * The program is CommonJS, of which Node keeps compiled code. What is imported dynamically runs when it is first asked for. Names
 * are kept, so that a stack trace names its functions; `node --enable-source-maps` shows the files and lines of src/. The rest of the text is
 * as short as it can be, since V8 holds it in memory for good.
 */
export async function bundle(root, folder) {
  const esbuild = await import("esbuild");
  const built = await Promise.all(
    Object.entries(programs).map(([file, contents]) =>
      esbuild.build({
        ...common,
        ...short,
        absWorkingDir: root,
        stdin: { contents, resolveDir: root, sourcefile: file },
        outfile: join(folder, "bundle", file),
        format: "cjs",
        external: ["koffi"],
        plugins: [
          ...(file === "daemon.cjs" ? [] : [daemonBeside()]),
          lazy(root),
          besides(root),
          givenModules(root),
          quickDescriptors(),
          callerUnasked(),
          nativePackages(),
        ],
        supported: { "dynamic-import": false },
        define: { "import.meta.url": "bundleUrl" },
        banner: {
          js: 'const installed=require,bundleUrl=require("node:url").pathToFileURL(__filename).href;',
        },
        sourcemap: "linked",
        sourcesContent: false,
      }),
    ),
  );
  const packages = await Promise.all(
    Object.entries(carried).map(([file, names]) =>
      esbuild.build({
        ...common,
        ...short,
        absWorkingDir: root,
        stdin: { contents: (shared[file] ? importing : requiring)(names), resolveDir: root },
        outfile: join(folder, "bundle/packages", `${file}.cjs`),
        format: "cjs",
        ...(shared[file] && given(shared[file])),
      }),
    ),
  );
  const modules = await Promise.all(
    Object.entries(carriedModules).map(([source, file]) =>
      esbuild.build({
        ...common,
        ...short,
        absWorkingDir: root,
        entryPoints: [source],
        outfile: join(folder, "bundle", file),
        format: "cjs",
        supported: { "dynamic-import": false },
        minifyIdentifiers: true,
      }),
    ),
  );
  // A library for others, readable, and without dependencies.
  const library = await esbuild.build({
    ...common,
    absWorkingDir: root,
    entryPoints: ["src/strategies/apply_strategy.ts"],
    outfile: join(folder, "strategies/apply_strategy.js"),
    allowOverwrite: true,
    format: "esm",
  });
  for (const { metafile } of [...built, ...packages, ...modules]) {
    for (const path of Object.keys(metafile.outputs)) if (path.endsWith(".cjs")) narrow(join(root, path));
  }
  writeContents(root, folder, [...built, ...packages, ...modules, library]);
}

/**
 * Escapes what is not ASCII, which esbuild leaves in regular expressions: of a text with one such character V8 holds two bytes for each
 * character.
 */
function narrow(path) {
  const text = readFileSync(path, "utf8");
  const escaped = text.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  if (escaped !== text) writeFileSync(path, escaped);
}

/** Has a command that runs a daemon read it from the daemon's own file. */
function daemonBeside() {
  return {
    name: "daemon-beside",
    setup(build) {
      build.onResolve({ filter: /\/run_daemon\.js$/ }, () => ({ path: "./daemon.cjs", external: true }));
    },
  };
}

/** Which packages the bundles hold, and under which licences. */
function writeContents(root, folder, results) {
  const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  // A plugin puts its own name and the whole path before it.
  const places = inputs.flatMap((path) => {
    const place = path.slice(Math.max(0, path.indexOf("node_modules/")));
    return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(place)?.[1] ?? [];
  });
  const packages = [...new Set(places)].sort().map((place) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, place, "package.json"), "utf8"));
    return { place, name, version, license };
  });
  writeFileSync(join(folder, "bundle/packages.json"), `${JSON.stringify(packages, undefined, 1)}\n`);
  const texts = packages.map(({ place, name, version, license }) => {
    const files = readdirSync(join(root, place)).filter((file) => /^(licen[cs]e|notice)/i.test(file));
    const words = files.map((file) => readFileSync(join(root, place, file), "utf8").trim());
    return [`${name} ${version} (${license})`, ...words].join("\n\n");
  });
  writeFileSync(join(folder, "bundle/LICENSES.txt"), `${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
}

/** A module of all these packages, each run when it is first asked for. */
function requiring(names) {
  return `module.exports = { ${names.map((name) => `get ${JSON.stringify(name)}() { return require(${JSON.stringify(name)}); }`).join(", ")} };`;
}

/** The same, all run at once, and without what nobody asks for. */
function importing(names) {
  return names.map((name) => `export * as ${JSON.stringify(name)} from ${JSON.stringify(name)};`).join("\n");
}

/**
 * Has protovalidate compile the expression of a standard rule when a field needs it. By itself it compiles those of all rules of a type,
 * also of them that it checks natively: the first request would wait for it.
 */
function lazyRules() {
  const eager = /standard\.push\(\{\s*field,\s*rule,\s*compiled: this\.compileRule\(rule\),\s*\}\);/;
  const late = `
    const compile = () => this.compileRule(rule);
    let compiled;
    standard.push({ field, rule, get compiled() { return (compiled ??= compile()); } });
  `;
  return {
    name: "lazy-rules",
    setup(build) {
      build.onLoad({ filter: /@bufbuild\/protovalidate\/dist\/esm\/cel\.js$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        if (!eager.test(text)) throw new Error("protovalidate compiles its rules in another way than before");
        return { contents: text.replace(eager, late), loader: "js" };
      });
    },
  };
}

/**
 * Makes the descriptors of the contract, which every start waits for, in less time: protobuf decodes base64 letter by letter on Node 20 and
 * 24, makes the JSON name of each field so everywhere, and reads descriptors that nothing asks for, because an index exports them.
 */
function quickDescriptors() {
  const slow = /^export function protoCamelCase\(snakeCase\) \{[\s\S]*?^\}/m;
  const quick = `export function protoCamelCase(snakeCase) {
    return snakeCase.includes("_") ? snakeCase.replace(/_+([^_]?)/g, (_, next) => next.toUpperCase()) : snakeCase;
  }`;
  const unused =
    /^export \* from "\.\/google\/protobuf\/((api|type|source_context|(cpp|go|java)_features)|compiler\/plugin)_pb\.js";\n/gm;
  const changes = {
    "codegenv2/file": (text) =>
      text.replace("base64Decode(b64)", 'new Uint8Array(Buffer.from(b64, "base64"))'),
    "reflect/names": (text) => text.replace(slow, quick),
    "wkt/index": (text) => text.replace(unused, ""),
  };
  return {
    name: "quick-descriptors",
    setup(build) {
      for (const [module, change] of Object.entries(changes)) {
        const filter = new RegExp(`@bufbuild/protobuf/dist/esm/${module}\\.js$`);
        build.onLoad({ filter }, ({ path }) => {
          const text = readFileSync(path, "utf8");
          const contents = change(text);
          if (contents === text)
            throw new Error(`${module} of protobuf is written in another way than before`);
          return { contents, loader: "js" };
        });
      }
    },
  };
}

/**
 * Has pino not ask V8 who makes a logger, which it wants for transports alone, and nothing here has one: to answer, V8 counts the lines of the
 * whole program.
 */
function callerUnasked() {
  const asked = "normalize(instance, caller(), ...args)";
  return {
    name: "caller-unasked",
    setup(build) {
      build.onLoad({ filter: /\/node_modules\/pino\/pino\.js$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        if (!text.includes(asked)) throw new Error("pino asks who calls in another way than before");
        return { contents: text.replace(asked, asked.replace("caller()", "undefined")), loader: "js" };
      });
    },
  };
}

/** What a file of `carried` is built with, so that it is a function which takes these modules, by their names. */
function given(names) {
  const plugin = {
    name: "given",
    setup(build) {
      for (const name of names) {
        const filter = new RegExp(`(^|/)${name.split("/gen/").at(-1).replace(/[/.]/g, "\\$&")}$`);
        build.onResolve({ filter }, () => ({ path: name, external: true }));
      }
    },
  };
  const js = "module.exports=(require)=>{const module={exports:{}};";
  return { plugins: [plugin, lazyRules()], banner: { js }, footer: { js: "return module.exports}" } };
}

/** The code that reads a package of `carried`. */
function besideOf(name) {
  const [file] = Object.entries(carried).find(([, names]) => names.includes(name)) ?? [];
  if (file === undefined) return undefined;
  const gives = shared[file] ? `(name => require("given:${file}").modules[name])` : "";
  return `installed(${JSON.stringify(`./packages/${file}.cjs`)})${gives}[${JSON.stringify(name)}]`;
}

/** The modules of the program that a carried package takes. */
function givenModules(root) {
  return {
    name: "given-modules",
    setup(build) {
      build.onResolve({ filter: /^given:/ }, ({ path }) => ({
        path: path.slice("given:".length),
        namespace: "given",
      }));
      build.onLoad({ filter: /./, namespace: "given" }, ({ path }) => ({
        contents: `
          ${shared[path].map((name, index) => `import * as m${index} from ${JSON.stringify(name)};`).join("\n")}
          export const modules = { ${shared[path].map((name, index) => `${JSON.stringify(name)}: m${index}`).join(", ")} };
        `,
        loader: "js",
        resolveDir: root,
      }));
    },
  };
}

/** Takes what is carried from its files. */
function besides(root) {
  const names = Object.values(carried).flat();
  return {
    name: "besides",
    setup(build) {
      for (const name of names) {
        build.onResolve({ filter: filterOf(name) }, ({ path, importer }) =>
          // Of OpenTelemetry it wants the API alone, always: that is no reason to read the SDK.
          importer.includes("/node_modules/prom-client/") ? undefined : { path, namespace: "besides" },
        );
      }
      build.onResolve({ filter: /\/sdk\.js$/ }, ({ path, resolveDir }) => {
        const source = relative(root, join(resolveDir, path)).replace(/\.js$/, ".ts");
        const file = carriedModules[source.split(sep).join("/")];
        return file === undefined ? undefined : { path: `./${file}`, external: true };
      });
      build.onLoad({ filter: /./, namespace: "besides" }, ({ path }) => ({
        contents: `module.exports = ${besideOf(path)};`,
        loader: "js",
      }));
    },
  };
}

function filterOf(name) {
  return new RegExp(`^${name.replace(/[/.]/g, "\\$&")}$`);
}

/** Puts a module of getters before each of `lazyPackages`, of which the first that is read runs the package. */
function lazy(root) {
  const namespace = "lazy";
  const resolving = Symbol();
  return {
    name: namespace,
    setup(build) {
      for (const name of lazyPackages) {
        build.onResolve({ filter: filterOf(name) }, async ({ path, kind, pluginData, ...place }) => {
          if (pluginData === resolving || kind === "dynamic-import") return undefined;
          if (besideOf(name)) return { path: name, namespace, pluginData: { name } };
          const found = await build.resolve(path, { ...place, kind, pluginData: resolving });
          return found.errors.length > 0 ? found : { path: found.path, namespace, pluginData: { name } };
        });
      }
      build.onLoad({ filter: /./, namespace }, async ({ path, pluginData }) => {
        const names = Object.keys(await import(pluginData.name));
        const module = besideOf(pluginData.name) ?? `require(${JSON.stringify(path)})`;
        return { contents: gettersOf(module, names), loader: "js", resolveDir: root };
      });
    },
  };
}

function gettersOf(module, names) {
  const getters = names
    .filter((name) => name !== "module.exports")
    .map((name) => `get ${name}() { return load().${name}; },`);
  return `
    let loaded;
    const load = () => (loaded ??= ${module});
    module.exports = { ${getters.join("\n")} };
  `;
}

/** The scripts of packages with native code, which find that code where the package is installed. */
function nativePackages() {
  return {
    name: "native-packages",
    setup(build) {
      // Its CommonJS: a package below it evaluates code that names its own variables, which as modules would be renamed.
      build.onResolve({ filter: /^lmdb$/ }, () => ({ path: require.resolve("lmdb") }));
      build.onLoad({ filter: /\/node_modules\/lmdb\/dist\/index\.cjs$/ }, ({ path }) => ({
        contents: readFileSync(path, "utf8").replaceAll("__filename", 'installed.resolve("lmdb")'),
        loader: "js",
      }));
      // Native code for MessagePack, which the store never writes: msgpackr does without.
      build.onResolve({ filter: /^msgpackr-extract$/ }, ({ path }) => ({ path, namespace: "none" }));
      build.onLoad({ filter: /./, namespace: "none" }, () => ({ contents: "module.exports = undefined;" }));
      // Its own search looks through package.json files first, which takes as long as all the rest of opening the data folder.
      build.onLoad({ filter: /\/node_modules\/fs-native-extensions\/binding\.js$/ }, () => ({
        contents: `
          const { dirname, join } = require("node:path");
          const place = installed.resolve("fs-native-extensions/binding");
          const host = process.platform + "-" + process.arch;
          const open = () => installed(join(dirname(place), "prebuilds", host, "fs-native-extensions.node"));
          try {
            module.exports = open();
          } catch {
            module.exports = installed(place);
          }
        `,
        loader: "js",
      }));
    },
  };
}
