import { expect, it } from "vitest";
import { CopyField } from "../../../../src/ext/console/kit/copy.js";
import { render } from "../../../../src/server/views/view.js";

it("a text to be copied is escaped wherever it stands", () => {
  const hostile = `"><script>document.title='owned'</script>`;
  const field = render(<CopyField id={hostile} label={hostile} value={hostile} />);
  expect(field).not.toContain("<script>");
  expect(field.split("&quot;&gt;&lt;script&gt;").length).toBe(6);
});
