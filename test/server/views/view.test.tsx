import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, it, vi } from "vitest";
import { Input } from "../../../src/server/views/fields.js";
import { CheckMark, document, Monogram, render } from "../../../src/server/views/view.js";

const hostile = `"><script>document.title='owned'</script>`;
const escaped = "&quot;&gt;&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;";

describe("a view", () => {
  it("escapes every text and attribute, at every place", () => {
    const page = document({
      title: hostile,
      head: <meta name={hostile} />,
      body: (
        <>
          <p title={hostile}>{[hostile, <bdi>{hostile}</bdi>]}</p>
          <Input name={hostile} label={hostile} value={hostile} hint={hostile} error={hostile} />
          <textarea>{hostile}</textarea>
          <Monogram name={hostile} />
        </>
      ),
    });
    expect(page).not.toContain("<script>");
    expect(page.split(escaped).length).toBeGreaterThan(15);
  });

  it("leaves out what is nothing", () => {
    expect(render([undefined, false, null, 0, "a"])).toBe("0a");
  });

  it("never shows the value of a password", () => {
    expect(render(<Input name="a" label="A" type="password" value="s3cr3t" />)).not.toContain("s3cr3t");
  });

  it("gives a name the same tile each time", () => {
    expect(render(<Monogram name="acme" />)).toBe(render(<Monogram name="acme" />));
    expect(render(<Monogram name="" />)).toContain(">?<");
  });

  it("turns on no hooks of promises", () => {
    const followed = vi.spyOn(AsyncLocalStorage.prototype, "run");
    document({ title: "a", head: <meta name="a" />, body: <CheckMark /> });
    expect(followed).not.toHaveBeenCalled();
    followed.mockRestore();
  });
});
