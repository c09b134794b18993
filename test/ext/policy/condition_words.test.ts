import { describe, expect, it } from "vitest";
import { compileCondition } from "../../../src/ext/policy/condition.js";
import { conditionWords } from "../../../src/ext/policy/condition_words.js";
import { describedHeaders, describedUrl, factsOf } from "../../../src/model/access/request_facts.js";
import fc from "../../property.js";

describe("a condition in words", () => {
  it.each([
    ['request.method in ["GET", "HEAD"]', "the method is one of GET, HEAD"],
    ['!(request.method in ["GET"])', "the method is none of GET"],
    ["!request.reads", "the request may write"],
    [
      'request.host == "api.github.com" && request.path.startsWith("/repos/")',
      "the host is api.github.com and the path begins with /repos/",
    ],
    [
      'request.reads && (connection.user != "root" || request.size > 10)',
      "the request only reads and (the user is not root or the size of the body is more than 10)",
    ],
    ['!(request.reads && request.path == "/a b")', 'the request may write or the path is not "/a b"'],
    ['"secrets" in session.labels', "the session is labeled secrets"],
    ['!("x-a" in request.headers)', "no header x-a is sent"],
    ['request.query["q"].lowerAscii().contains("drop")', "the query parameter q in lower case contains drop"],
    ['now < timestamp("2027-01-31T00:00:00Z")', "the time is before 2027-01-31T00:00:00Z"],
    ['now.getHours("Europe/Berlin") >= 9', "the hour in Europe/Berlin is at least 9"],
    ['connection.user == "ada and the path is /"', 'the user is "ada and the path is /"'],
    ['request.body["to"].endsWith("@acme.com")', "the field to ends with @acme.com"],
    ['!("cc" in request.body)', "no field cc is sent"],
    ['int(request.body["amount"]) <= 5000', "the field amount as a number is at most 5000"],
    ["true", "always"],
    ["!true", "never"],
  ])("%s: %s", (text, words) => {
    expect(() => compileCondition(text)).not.toThrow();
    expect(conditionWords(text)).toBe(words);
  });

  it.each(['caller.name == "key:a" ? request.reads : false', "request.reads == true", "request.", ""])(
    "has none at all where a part of it has none: %s",
    (text) => {
      expect(conditionWords(text)).toBeUndefined();
    },
  );

  it("says the same of a request as the condition, read back", () => {
    const atom = fc.constantFrom(
      "request.reads",
      'request.method == "GET"',
      'request.method != "PUT"',
      'request.path.startsWith("/a")',
      'request.path in ["/a", "/b"]',
      "true",
    );
    const { tree } = fc.letrec<{ tree: string }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        atom,
        tie("tree").map((one) => `!(${one})`),
        fc.tuple(tie("tree"), tie("tree")).map(([one, other]) => `(${one} && ${other})`),
        fc.tuple(tie("tree"), tie("tree")).map(([one, other]) => `(${one} || ${other})`),
      ),
    }));
    const connection = { connectionId: "c", userId: "ada", provider: { id: "p", name: "github" } };
    const requests = ["GET", "PUT", "POST"].flatMap((method) =>
      ["/a", "/b", "/ab", "/c"].map((path) => ({
        ...{ ...describedHeaders(method, [], true), ...describedUrl(`https://api.example${path}`) },
        ...{ body: undefined, session: undefined },
      })),
    );
    fc.assert(
      fc.property(tree, fc.constantFrom(...requests), (text, request) => {
        const facts = factsOf("key:a", connection, request, 0);
        const read = readBack(conditionWords(text) ?? "", {
          reads: facts["request.reads"] === true,
          method: String(request.method),
          path: String(facts["request.path"]),
        });
        expect(read).toBe(compileCondition(text)(facts));
      }),
    );
  });
});

/** What English that was made of these conditions says. */
function readBack(
  words: string,
  { reads, method, path }: { readonly reads: boolean; readonly method: string; readonly path: string },
): boolean {
  const script = words
    .replaceAll(/the path (is one of|is none of) ([^ ()]+, [^ ()]+)/g, (_, verb, list: string) =>
      String(list.split(", ").includes(path) === (verb === "is one of")),
    )
    .replaceAll(/the path (begins|does not begin) with (\S+?)(?=[ )]|$)/g, (_, verb, start: string) =>
      String(path.startsWith(start) === (verb === "begins")),
    )
    .replaceAll(/the method is (not )?([A-Z]+)/g, (_, not, name) =>
      String((method === name) !== (not !== undefined)),
    )
    .replaceAll("the request only reads", String(reads))
    .replaceAll("the request may write", String(!reads))
    .replaceAll("always", "true")
    .replaceAll("never", "false")
    .replaceAll(" and ", " && ")
    .replaceAll(" or ", " || ");
  return compileCondition(script)({} as never) as boolean;
}
