import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readVersion } from "../../../../src/config/version.js";
import { buildEdited, type Edit } from "../real/edited_build.js";

/** What the sources of a version that there is not have instead of this one's. */
const edits: readonly Edit[] = [
  ["package.json", `"version": "${readVersion()}"`, '"version": "99.0.0"'],
  [
    "src/ext/fleet/database/connection/layouts.ts",
    "  { expand: [], contract: [] },\n];",
    '  { expand: [], contract: [] },\n  { expand: ["004_expand.sql"], contract: ["004_contract.sql"] },\n];',
  ],
  [
    "src/ext/fleet/database/log/database_log.ts",
    "nexus.commit_1($1, $2, $3, $4, $5, $6)",
    "nexus.commit_2($1, $2, $3, $4, $5, $6, 'next')",
  ],
  [
    "src/ext/fleet/database/members.ts",
    "nexus.heartbeat_1($1, $2, $3, $4, $5, $6)",
    "nexus.heartbeat_2($1, $2, $3, $4, $5, $6, 'west')",
  ],
  // A record has a field that older hubs would lose: it is written when none of them can be there.
  [
    "src/store/records/connection_codec.ts",
    "return toBinary(ConnectionRecordSchema, record);",
    "return marked(toBinary(ConnectionRecordSchema, record));",
  ],
  ["src/store/records/connection_codec.ts", "", 'import { marked } from "./mark.js";\n'],
  [
    "src/ext/fleet/hub/heartbeat.ts",
    "this.#verdict = await database.judge(fleet.store.position);",
    "this.#verdict = await database.judge(fleet.store.position); layoutOfAll.minLayout = this.#verdict.tables.minLayout;",
  ],
  ["src/ext/fleet/hub/heartbeat.ts", "", 'import { layoutOfAll } from "../../../store/records/mark.js";\n'],
];

/** Field 1000, an integer of 1. */
const mark = Uint8Array.of(0xc0, 0x3e, 0x01);

const markSource = `
export const layoutOfAll = { minLayout: 0 };
const mark = Uint8Array.of(${mark.join(", ")});
export function marked(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(layoutOfAll.minLayout < 4 ? bytes : [...bytes, ...mark]);
}
`;

/** Whether the record of a connection has the field of the next version. */
export function isMarked(record: Uint8Array): boolean {
  return Buffer.from(record.subarray(-mark.length)).equals(mark);
}

/**
 * Builds a version that knows one layout more, as a release would: of these sources, with a few lines changed.
 *
 * @param folder an absolute path, in which nothing is
 * @returns the path of its `main.js`
 */
export async function buildNextVersion(folder: string): Promise<string> {
  return await buildEdited(folder, edits, (src) => {
    writeFileSync(join(src, "store/records/mark.ts"), markSource);
    for (const name of ["004_expand.sql", "004_contract.sql"])
      copyFileSync(join(import.meta.dirname, name), join(src, "ext/fleet/database/sql", name));
  });
}
