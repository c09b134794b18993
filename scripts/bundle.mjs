// The program in one file: what the daemon needs to serve comes first, and what it seldom needs runs when it is first used.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";

const require = createRequire(import.meta.url);

/** Has native code that is seldom loaded, or reads files of its own: stays in node_modules. */
const external = [
  "@opentelemetry/core",
  "@opentelemetry/exporter-trace-otlp-proto",
  "@opentelemetry/resources",
  "@opentelemetry/sdk-trace-base",
  "koffi",
];

/**
 * Packages of which nothing runs before something of them is used. Only what the sources use inside functions can stand here. What shares
 * no types with others and many daemons never use stays in node_modules, so that its text is not held in memory.
 */
const lazyPackages = {
  "@bufbuild/protovalidate": "bundled",
  "@connectrpc/connect-node": "bundled",
  "ajv/dist/2020.js": "installed",
  "ajv-formats": "installed",
  "pino-pretty": "installed",
  re2js: "installed",
};

/**
 * One file of CommonJS, of which Node keeps compiled code. What is imported dynamically runs when it is first asked for. Names are
 * kept, so that a stack trace names its functions; `node --enable-source-maps` shows the files and lines of src/. The rest of the text is as
 * short as it can be, since V8 holds it in memory for good.
 */
export async function bundle(root, outfile) {
  const esbuild = await import("esbuild");
  const common = {
    absWorkingDir: root,
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20.19",
    // Of two builds of a package, the one of modules: what nobody asks for is left out.
    mainFields: ["module", "main"],
    supported: { "dynamic-import": false },
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 160,
    logLevel: "warning",
  };
  await esbuild.build({
    ...common,
    entryPoints: ["src/cli/process_shell.ts"],
    outfile,
    external,
    plugins: [lazy(root), nativePackages(), besides()],
    define: { "import.meta.url": "bundleUrl" },
    banner: { js: 'const installed=require,bundleUrl=require("node:url").pathToFileURL(__filename).href;' },
  });
  for (const [entry, name] of Object.entries(beside)) {
    await esbuild.build({
      ...common,
      entryPoints: [entry],
      outfile: join(dirname(outfile), name),
      sourcemap: false,
      minifyIdentifiers: true,
    });
  }
}

/** Modules of the sources that stay apart, so that their text is not held in the memory of commands that never use them. */
const beside = { "src/cli/mcp/tools/sdk.ts": "mcp_sdk.cjs" };

function besides() {
  return {
    name: "beside",
    setup(build) {
      build.onResolve({ filter: /\/sdk\.js$/ }, ({ path, resolveDir }) => {
        const source = relative(build.initialOptions.absWorkingDir, join(resolveDir, path)).replace(
          /\.js$/,
          ".ts",
        );
        const name = beside[source.split(sep).join("/")];
        return name === undefined ? undefined : { path: `./${name}`, external: true };
      });
    },
  };
}

/** Puts a module of getters before each of `lazyPackages`, of which the first that is read runs the package. */
function lazy(root) {
  const namespace = "lazy";
  const resolving = Symbol();
  return {
    name: namespace,
    setup(build) {
      for (const name of Object.keys(lazyPackages)) {
        const filter = new RegExp(`^${name.replace(/[/.]/g, "\\$&")}$`);
        build.onResolve({ filter }, async ({ path, kind, pluginData, ...place }) => {
          if (pluginData === resolving || kind === "dynamic-import") return undefined;
          const found = await build.resolve(path, { ...place, kind, pluginData: resolving });
          return found.errors.length > 0 ? found : { path: found.path, namespace, pluginData: { name } };
        });
      }
      build.onLoad({ filter: /./, namespace }, async ({ path, pluginData }) => {
        const names = Object.keys(await import(pluginData.name));
        const module =
          lazyPackages[pluginData.name] === "installed"
            ? `installed(${JSON.stringify(pluginData.name)})`
            : `require(${JSON.stringify(path)})`;
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
