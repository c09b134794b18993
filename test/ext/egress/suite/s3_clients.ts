import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { installed, nodeWith, pythonWith, ran } from "../../../suites/installed_programs.js";
import { go } from "./clients.js";

/**
 * A program that uploads to S3, and was not written here. `$1` is the URL, `$2` its name, `$3` and `$4` a small and a large file. It stores `small`,
 * `whole` (the large one in one request) and `parts` (in several), reads `whole` back and prints its SHA-256.
 */
export interface S3Client {
  readonly name: string;
  /** @throws Error where it cannot be installed */
  readonly command: () => readonly string[];
  /** What it stores of the large file beside the others. */
  readonly also?: readonly string[];
}

const programs = join(import.meta.dirname, "programs/s3");
/** With a server of S3 by others. */
export const s3Python = (): string => pythonWith("boto3 moto[server,s3]");
const packages = "@aws-sdk/client-s3 @aws-sdk/lib-storage @smithy/node-http-handler https-proxy-agent";

export const s3Clients: readonly S3Client[] = [
  { name: "boto3", command: () => [s3Python(), join(programs, "boto3_client.py")] },
  { name: "AWS CLI v2", command: () => shell("aws.sh", "AWS", commandLine()) },
  { name: "rclone", command: () => shell("rclone.sh", "RCLONE", ...go("s3/rclone.go")) },
  { name: "AWS SDK for Go", command: () => go("s3/s3.go") },
  { name: "AWS SDK for Java", command: java, also: ["signed", "signed-trailer"] },
  {
    name: "AWS SDK for JavaScript",
    command: () => {
      const file = join(nodeWith(packages), "s3.mjs");
      copyFileSync(join(programs, "s3.mjs"), file);
      return [process.execPath, file];
    },
  },
];

function shell(script: string, variable: string, program = ""): readonly string[] {
  return ["env", `${variable}=${program}`, "sh", join(programs, script)];
}

/** No registry has the command line of AWS by itself: this package has it for other ends. */
function commandLine(): string {
  const layer = join(
    nodeWith("@aws-cdk/asset-awscli-v2@2.0.186"),
    "node_modules/@aws-cdk/asset-awscli-v2/lib/layer.zip",
  );
  const folder = installed("aws", layer, (at) => {
    ran(at, "python3", ["-m", "zipfile", "-e", layer, at]);
    ran(at, "sh", ["-c", "chmod +x awscli/v2/*/dist/aws"]);
  });
  const [version = ""] = readdirSync(join(folder, "awscli/v2")).filter((name) => name !== "current");
  return join(folder, "awscli/v2", version, "dist/aws");
}

function java(): readonly string[] {
  const sources = ["pom.xml", "S3.java"].map((name) => readFileSync(join(programs, name), "utf8"));
  const folder = installed("java-s3", sources.join(""), (at) => {
    for (const name of ["pom.xml", "S3.java"]) copyFileSync(join(programs, name), join(at, name));
    ran(at, "mvn", ["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]);
    ran(at, "javac", ["-cp", "lib/*", "S3.java"]);
  });
  return ["java", "-cp", `${folder}:${folder}/lib/*`, "S3"];
}
