import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CopyPositionFile } from "../../../src/ext/spoke/copy_position.js";
import { newId } from "../../../src/model/ids.js";
import { refuseCopies } from "../../../src/store/files/refuse_copies.js";
import { temporaryFolder } from "../../temporary_folder.js";

const databaseId = newId();
const place = {
  databaseId,
  position: { epoch: "e", revision: 2n ** 63n },
  lastContactAtMs: 1_800_000_000_000,
};

describe("the place of a copy", () => {
  it("is read as it was written, for its own store", () => {
    const folder = temporaryFolder();
    const file = new CopyPositionFile(folder);
    expect(file.read(databaseId)).toBeUndefined();
    expect(() => refuseCopies(folder)).not.toThrow();
    for (const written of [place, { databaseId, position: undefined, lastContactAtMs: undefined }]) {
      file.write(written);
      expect(file.read(databaseId)).toEqual(written);
    }
    expect(file.read(newId())).toBeUndefined();
    expect(() => refuseCopies(folder)).toThrow(/holds copies of connections of a hub/);
  });

  it.each(["", "{", "[]", "7", `{"databaseId":"${databaseId}","lastContactAtMs":"now"}`])(
    "is none when the file holds %j, as if a hub was heard long ago",
    (text) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, "upstream.json"), text);
      const read = new CopyPositionFile(folder).read(databaseId);
      expect(read).toEqual({ databaseId, position: undefined, lastContactAtMs: 1 });
    },
  );
});
