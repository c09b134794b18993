import { ProviderService, type ProviderTemplate } from "../../../gen/nexus/v1/provider_pb.js";
import { counted, searchTemplates } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { isWebUrl, Monogram } from "../../../server/pages/kit.js";
import { consolePage } from "../kit/page.js";
import { Chip, pathWith, Search, Tabs } from "../kit/parts.js";
import { allProviders } from "../kit/queries.js";
import { type PageRequest, refuseUnless } from "../kit/request.js";
import { kindWords, providersPath } from "./providers.js";

const path = `${providersPath}/add`;
/** More than any catalogue of a person's holds. */
const maxTemplates = 1_000;
/** At the front of the shop. */
const popular =
  "github google slack microsoft-graph notion linear salesforce hubspot jira gitlab discord zoom".split(" ");

/** The catalogue, searched by what is submitted; with the script, as one types. */
export async function cataloguePage(request: PageRequest): Promise<HttpAnswer> {
  refuseUnless(request, "template.read");
  const search = (request.query.get("search") ?? "").slice(0, 128);
  const category = request.query.get("category") ?? "";
  const [{ templates }, providers] = await Promise.all([
    request.call(ProviderService.method.listProviderTemplates, { pageSize: maxTemplates }),
    allProviders(request),
  ]);
  const registered = new Set(providers.map(({ template }) => template));
  const isOf = ({ provider }: ProviderTemplate) => category === "" || provider?.category === category;
  const found = searchTemplates(templates, search).filter(isOf);
  const isFront = search === "" && category === "";
  const first = isFront ? popular.flatMap((name) => found.find((each) => each.name === name) ?? []) : [];
  const others = found.filter((each) => !first.includes(each));
  const items = (each: readonly ProviderTemplate[]) => (
    <ul class="catalogue">
      {each.map((template) => itemOf(template, registered.has(template.name)))}
    </ul>
  );
  const categories = [...new Set(templates.map(({ provider }) => provider?.category ?? ""))]
    .filter(Boolean)
    .sort();
  const content = (
    <>
      <Search action={path} label="Name or category" value={search} finds="catalogue">
        {category !== "" && <input type="hidden" name="category" value={category} />}
      </Search>
      <Tabs
        label="Categories"
        tabs={["", ...categories].map((each) => ({
          href: pathWith(path, { search, category: each }),
          text: each === "" ? "All" : each,
          isCurrent: each === category,
        }))}
      />
      <div id="catalogue">
        <p class="soft" role="status">{counted(found.length, "template")}</p>
        {first.length > 0 && <><h2>Popular</h2>{items(first)}<h2>All</h2></>}
        {items(others)}
        <p>
          {found.length === 0 && "The catalogue has none of this name. "}
          <a href={`${providersPath}/new`}>Another OpenID Connect provider</a>, by its issuer.
        </p>
      </div>
    </>
  );
  return consolePage(request, { title: "Add a provider", section: providersPath, content });
}

function itemOf({ name, displayName, provider }: ProviderTemplate, isRegistered: boolean) {
  const words = [provider?.category, provider && kindWords(provider)].filter((text) => text);
  return (
    <li>
      <a href={`${path}/${encodeURIComponent(name)}`}>
        <Monogram name={displayName} big />
        <span>
          <b><bdi>{displayName}</bdi></b>{" "}
          {isRegistered && <Chip tone="good">Registered</Chip>}
          <span class="soft block">{words.join(" \u00b7 ")}</span>
        </span>
      </a>
    </li>
  );
}

/** Undefined when the catalogue has none of this name, or the principal may not read it. */
export async function findTemplate({ call, may }: PageRequest, name: string) {
  if (name === "" || name.length > 63 || !may("template.read")) return undefined;
  const { templates } = await call(ProviderService.method.listProviderTemplates, { namePrefix: name, pageSize: 1 });
  return templates.find((template) => template.name === name);
}

/** What the catalogue says about the provider's own console. */
export function Notes({ template }: { readonly template: ProviderTemplate | undefined }) {
  if (!template) return null;
  const { docsUrl, displayName, notes } = template;
  return (
    <>
      {isWebUrl(docsUrl) && (
        <p>
          <a href={docsUrl} target="_blank" rel="noopener noreferrer">How {displayName} explains it</a>{" "}
          <span class="soft">({new URL(docsUrl).hostname}, in a new tab)</span>
        </p>
      )}
      {notes.length > 0 && <ul class="notes">{notes.map((note) => <li>{note}</li>)}</ul>}
    </>
  );
}
