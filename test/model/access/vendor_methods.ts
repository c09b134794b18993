import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A method of an API, as the vendor's own client lists it. */
export interface VendorMethod {
  readonly does: "reads" | "writes" | "deletes";
  readonly provider: string;
  /** Method and URL; of Slack one of the two by which it can be called. */
  readonly request: string;
}

const files = [
  { file: "slack.txt", provider: "slack" },
  { file: "google.txt", provider: "google" },
  { file: "github.txt", provider: "github" },
];

const doing = { r: "reads", w: "writes", d: "deletes" } as const;

/** All that are recorded, with something for each variable. */
export function vendorMethods(): VendorMethod[] {
  return files.flatMap(({ file, provider }) => {
    const lines = readFileSync(join(import.meta.dirname, "vendors", file), "utf8").split("\n");
    return lines.flatMap((line) => {
      const [, mark = "", rest = ""] = /^([rwd]) (.*)$/.exec(line) ?? [];
      if (mark === "") return [];
      const does = doing[mark as keyof typeof doing];
      const [method = "", place = ""] = rest.replaceAll(/\{[^}]*\}/g, "x1").split(" ");
      if (place !== "") return [{ does, provider, request: `${method} https://${place}` }];
      return ["GET", "POST"].map((one) => ({
        does,
        provider,
        request: `${one} https://slack.com/api/${method}`,
      }));
    });
  });
}
