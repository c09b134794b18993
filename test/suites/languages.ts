import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");
const examples = join(root, "examples");

/** A command and the folder that it runs in. */
export interface Step {
  readonly cwd: string;
  readonly command: readonly string[];
  /** Beside that of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What it does is to fetch from a registry, which may stand still or refuse for a moment: then it is begun again. */
  readonly downloads?: true;
}

/** An example agent: what it needs, how it is generated and built, and how it is started. */
export interface Language {
  readonly name: string;
  /** Programs of the toolchain, as they are called on the `PATH`. */
  readonly needs: readonly string[];
  readonly build: readonly Step[];
  readonly run: readonly string[];
}

const inFolder = (folder: string, ...commands: string[][]): Step[] =>
  commands.map((command) => ({ cwd: join(examples, folder), command }));

const downloaded = (folder: string, ...commands: string[][]): Step[] =>
  inFolder(folder, ...commands).map((step) => ({ ...step, downloads: true }));

const npmBuild = (folder: string): Step[] => [
  ...downloaded(folder, ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"]),
  ...inFolder(folder, ["npm", "run", "build"]),
];

const venv = join(examples, "python/.venv/bin");

/** Agents on the generated code of their language. Each as its README line has it, with the versions of its lock file. */
export const languages: readonly Language[] = [
  {
    name: "Python (grpcio)",
    needs: ["python3"],
    build: [
      ...inFolder("python", ["python3", "-m", "venv", ".venv"]),
      ...downloaded("python", [
        ...[join(venv, "pip"), "install", "--quiet", "--disable-pip-version-check"],
        ...["-r", "requirements.txt"],
      ]),
    ],
    run: [join(venv, "python"), join(examples, "python/agent.py")],
  },
  {
    name: "Java (grpc-java)",
    needs: ["java", "javac", "mvn"],
    // Maven knows what its plugins need when they run: it compiles the same again.
    build: downloaded("java", ["mvn", "--batch-mode", "--no-transfer-progress", "--quiet", "package"]),
    run: ["java", "-jar", join(examples, "java/target/agent.jar")],
  },
  {
    name: "Rust (tonic)",
    needs: ["cargo", "cc"],
    build: [
      ...downloaded("rust", ["cargo", "fetch", "--locked", "--quiet"]),
      ...inFolder("rust", ["cargo", "build", "--locked", "--quiet", "--jobs", "2"]),
    ],
    run: [join(examples, "rust/target/debug/agent")],
  },
];

/** Agents that use the client library of their language. */
export const libraryAgents: readonly Language[] = [
  {
    name: "TypeScript (nexusd-client)",
    needs: ["node", "npm"],
    build: [
      { cwd: join(root, "clients/typescript"), command: ["npm", "run", "build"] },
      ...npmBuild("typescript"),
    ],
    run: [process.execPath, join(examples, "typescript/dist/agent.js")],
  },
  {
    name: "Go (clients/go)",
    needs: ["go"],
    build: [
      ...downloaded("go", ["go", "mod", "download"]),
      ...inFolder("go", ["go", "build", "-p", "2", "-o", "agent", "."]),
    ],
    run: [join(examples, "go/agent")],
  },
];

export const page: Language = {
  name: "browser page",
  needs: ["node", "npm"],
  build: npmBuild("browser"),
  run: [process.execPath, join(examples, "browser/serve.js")],
};

export const toolsFolder = join(root, "node_modules/.cache/interop");

const schemathesisFolder = join(root, "test/interop/schemathesis");
const schemathesisVenv = join(toolsFolder, "schemathesis");

/** Holds the REST routes against the OpenAPI document, by the lock file beside its settings. */
export const schemathesis: Language = {
  name: "schemathesis",
  needs: ["python3"],
  build: [
    { cwd: schemathesisFolder, command: ["python3", "-m", "venv", schemathesisVenv] },
    {
      cwd: schemathesisFolder,
      command: [
        ...[join(schemathesisVenv, "bin/python"), "-m", "pip", "install", "--quiet"],
        ...["--disable-pip-version-check", "-r", "requirements.txt"],
      ],
      downloads: true,
    },
  ],
  run: [join(schemathesisVenv, "bin/schemathesis")],
};

/** `grpcurl` and `grpc_health_probe`, by the lock file beside this. */
export const goTools: Language = {
  name: "grpcurl and grpc_health_probe",
  needs: ["go"],
  build: [
    { cwd: join(root, "test/interop/tools"), command: ["go", "mod", "download"], downloads: true },
    {
      cwd: join(root, "test/interop/tools"),
      command: ["env", `GOBIN=${toolsFolder}`, "go", "install", "-p", "2", "tool"],
    },
  ],
  run: [],
};
