/**
 * Spellings of one request that servers read in several ways, for every place that puts a credential into a request: egress over HTTP/1.1
 * and HTTP/2, `call_api`, `nexusd curl`, and the external authorization. Paths stand below a base path.
 */

/** Denies what is below `/v1/admin`; a base URL of `/v1` is meant. */
export const pathRules = `[{ when: 'request.path.startsWith("/v1/admin")', then: deny }, { then: allow }]`;

/** Some servers read them as `/admin`. */
export const secondPaths = [
  ..."/%2fadmin /x%2fadmin /%5cadmin /;/admin /;a=b/admin /admin;x /%3b/admin /admin%3bx /%2561dmin /%252fadmin".split(
    " ",
  ),
  ..."/%25252fadmin /%2525%36%31dmin /%20admin /admin%20 /admin%20/x /%09admin /admin%09 /%00admin /admin%00 /ad%00min".split(
    " ",
  ),
  ..."/admin%0a /admin%0d%0ax:y //admin /x//admin /%2e/admin /%c1%a1dmin /%e0%81%a1dmin /%ef%bc%8fadmin /%ef%bc%9bx/admin".split(
    " ",
  ),
  ..."/%e2%80%8badmin /%c2%a0admin /admin%c2%85 /admin%3fx /%u0061dmin /%%61dmin /%2/admin".split(" "),
];

/** Some servers read them as a path above the base path. */
export const climbingPaths = [
  ..."/..%00/secret /..%20/secret /..%09/secret /%20../secret /..;/secret /..;a=b/secret /..%3b/secret /%2e%2e/secret".split(
    " ",
  ),
  ..."/.%2e/secret /..%2fsecret /%2e%2e%2fsecret /..%5csecret /x/..%2f..%2fsecret /%252e%252e/secret /..%252fsecret".split(
    " ",
  ),
  ..."/%25252e%25252e/secret /%c0%ae%c0%ae/secret /..%c0%afsecret /..%e2%80%8b/secret /%ef%bc%8e%ef%bc%8e/secret".split(
    " ",
  ),
  ..."/..%ef%bc%8fsecret /x;/../../secret /..%00".split(" "),
];

/** The same to every server (RFC 3986 section 6.2.2), and how they are sent. */
export const samePaths = [
  ["/us%65r", "/user"],
  ["/%7euser?q=%61", "/~user?q=%61"],
  ["/caf%c3%a9", "/caf%C3%A9"],
  ["/a%20b", "/a%20b"],
] as const;

/** Of the same, what the rule denies. */
export const deniedPaths = ["/admin", "/%61dmin", "/a%64min/x?y", "/admin%3ax"];

/** Nothing goes by it, so that it is sent as it is. */
export const free = "/group%2Fname/a;b";

/** Denies DELETE. */
export const methodRules = `[{ when: 'request.method == "DELETE"', then: deny }, { then: allow }]`;

/** Some servers read them as DELETE. */
export const secondMethods: readonly {
  readonly method: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}[] = [
  { method: "delete" },
  { method: "Delete" },
  { method: "dELETE" },
  ...[
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x_http_method_override",
    "x-http_method-override",
    "x_method_override",
    "x_http_method",
  ].map((name) => ({ method: "POST", headers: { [name]: "DELETE" } })),
  { method: "POST", path: "/user?_method=DELETE" },
];

/** Their answers repeat the request. */
export const echoingMethods = ["TRACE", "trace", "Trace", "TRACK", "track"];
