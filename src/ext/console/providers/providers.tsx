import { type Connection, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { AuthType, type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { FailingProvider, GetStatusResponse } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount } from "../../../model/model.js";
import { isConsented, isUnattended, profileSettings } from "../../../model/providers/providers.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Monogram, type View } from "../../../server/pages/kit.js";
import { maxSorted } from "../connections/connections.js";
import { consolePage } from "../kit/page.js";
import { Chip, Empty, Go, Moment, pathWith, Search, Table, type TableRow } from "../kit/parts.js";
import { countOf, displayName, findConnections, statusOf } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";

export const providersPath = "/providers";
const pageSize = 100;
export const maxFailing = 100;

/** How a connection of it comes to be. */
export function kindWords(provider: Provider): string {
  const settings = profileSettings(provider);
  if (isConsented(settings)) return "The user consents";
  return isUnattended(settings) ? "No user is needed" : "The user enters a key";
}

export function isOAuth2({ authType }: Provider): boolean {
  return authType === AuthType.OAUTH2 || authType === AuthType.UNSPECIFIED;
}

/** The providers at which refreshing fails, by id; undefined for who may not read the status. */
export function failingIn(status: GetStatusResponse | undefined): ReadonlyMap<string, FailingProvider> | undefined {
  return status && new Map(status.failingProviders.map((each) => [each.providerId, each]));
}

/** A state in a word. @param failing undefined for one that is not among those at which refreshing fails */
export function healthOf(failing: FailingProvider | undefined): View {
  if (!failing) return <Chip tone="good">No trouble known</Chip>;
  if (failing.suspended) return <Chip tone="bad">Suspended</Chip>;
  return <Chip tone="warn">{failing.consents ? "Consents fail" : "Refreshes fail"}</Chip>;
}

export async function providerList(request: PageRequest): Promise<HttpAnswer> {
  const pageToken = request.query.get("page") ?? "";
  const search = (request.query.get("search") ?? "").slice(0, 63);
  const [{ providers, nextPageToken }, status] = await Promise.all([
    request.call(ProviderService.method.listProviders, { pageSize, pageToken, namePrefix: search }),
    statusOf(request, maxFailing),
  ]);
  const failing = failingIn(status);
  // Of more, numbers would cost more than the rest of the page.
  const isFew = countOf(status) <= maxSorted;
  const all = isFew ? await findConnections(request, {}, { most: maxSorted, calls: 2 }) : undefined;
  const counted = all?.next === "" ? all.found : undefined;
  const canAdd = request.may("provider.manage");
  const columns = ["Provider", "Connected by", "Connections", ...(failing ? ["Health"] : []), "Newest"];
  const rows = providers.map((provider) =>
    rowOf(request, provider, counted?.filter(({ providerId }) => providerId === provider.id), failing),
  );
  const content = (
    <>
      <Search action={providersPath} label="Name" value={search} finds="providers" />
      <div id="providers" data-poll="5">
        {providers.length === 0 && search !== "" ? <p class="soft">No provider fits.</p> : providers.length === 0 ? (
          <Empty
            title={`There is no provider ${canAdd ? "yet" : "that you may see"}`}
            {...(canAdd && { command: "nexusd provider add" })}
          >
            {canAdd && <p>The catalogue knows how to talk to some 240 of them: pick one, and enter your client id.</p>}
          </Empty>
        ) : <Table caption="Registered providers" columns={columns} rows={rows} />}
      </div>
      {nextPageToken !== "" && (
        <p>
          <Go to={pathWith(providersPath, { search, page: nextPageToken })} text="Next page" kind="quiet" rel="next" />
        </p>
      )}
    </>
  );
  const actions = canAdd && <Go to={`${providersPath}/add`} text="Add provider" />;
  return consolePage(request, { title: "Providers", section: providersPath, content, actions });
}

/** @param own its connections; undefined where there are too many to count */
function rowOf(
  request: PageRequest,
  provider: Provider,
  own: readonly Connection[] | undefined,
  failing: ReadonlyMap<string, FailingProvider> | undefined,
): TableRow {
  const { id, name } = provider;
  const title = displayName(request, provider);
  const trouble = failing?.get(id);
  const troubled = (own ?? []).filter(({ status }) => status === ConnectionStatus.ATTENTION).length;
  const made = (own ?? []).flatMap(({ createdAt }) => createdAt ?? []);
  const [newest] = made.sort((one, other) => Number(other.seconds - one.seconds));
  return {
    id: `p-${id}`,
    cells: [
      <a class="named" href={`${providersPath}/${id}`}>
        <Monogram name={title} />
        <span><bdi>{title}</bdi>{title !== name && <code class="soft block">{name}</code>}</span>
      </a>,
      kindWords(provider),
      <>
        <a href={pathWith("/connections", { provider: id })}>
          {own ? formatCount(own.length) : "Show"}<span class="hidden"> connections of {name}</span>
        </a>
        {troubled > 0 && <> <Chip tone="bad">{formatCount(troubled)} attention</Chip></>}
      </>,
      ...(failing ? [<>{healthOf(trouble)}{trouble && <p class="why">{trouble.message}</p>}</>] : []),
      <Moment time={newest} nowMs={request.nowMs} />,
    ],
  };
}
