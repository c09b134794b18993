import { AuthType, type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import { type FailingProvider, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { isConsented, isUnattended } from "../../../model/providers/grant_type.js";
import { profileSettings } from "../../../model/providers/profile_fields.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { Chip, Go, pathWith, Table, type Tone } from "../../../server/views/parts.js";
import { Monogram } from "../../../server/views/view.js";
import { displayName } from "../kit/names.js";
import { consolePage } from "../kit/page.js";
import type { PageRequest } from "../kit/request.js";

export const providersPath = "/providers";
const pageSize = 100;
const maxFailing = 100;

/** How a connection of it comes to be. */
export function kindWords(provider: Provider): string {
  const settings = profileSettings(provider);
  if (isConsented(settings)) return "A person consents";
  return isUnattended(settings) ? "No person is needed" : "A person enters a key";
}

export function isOAuth2({ authType }: Pick<Provider, "authType">): boolean {
  return authType === AuthType.OAUTH2 || authType === AuthType.UNSPECIFIED;
}

/** The providers at which refreshing fails, by id; undefined for who may not read the status. */
export async function failingProviders({
  may,
  call,
}: PageRequest): Promise<ReadonlyMap<string, FailingProvider> | undefined> {
  if (!may("status.read")) return undefined;
  const { failingProviders: failing } = await call(StatusService.method.getStatus, {
    maxEntries: maxFailing,
  });
  return new Map(failing.map((each) => [each.providerId, each]));
}

/** A state in a word, and its color. @param failing undefined for one that is not among those at which refreshing fails */
export function healthOf(failing: FailingProvider | undefined): {
  readonly text: string;
  readonly tone: Tone;
} {
  if (!failing) return { text: "No trouble known", tone: "good" };
  if (failing.suspended) return { text: "Suspended", tone: "bad" };
  return { text: failing.consents ? "Consents fail" : "Refreshes fail", tone: "warn" };
}

export async function providerList(request: PageRequest): Promise<Answer> {
  const pageToken = request.query.get("page") ?? "";
  const [{ providers, nextPageToken }, failing] = await Promise.all([
    request.call(ProviderService.method.listProviders, { pageSize, pageToken }),
    failingProviders(request),
  ]);
  const canAdd = request.may("provider.manage");
  const add = <Go to={`${providersPath}/add`} text="Add provider" />;
  const columns = ["Provider", "Connected by", "Client", ...(failing ? ["Health"] : []), ""];
  const rows = providers.map((provider) => ({
    cells: [
      <ProviderName request={request} provider={provider} />,
      kindWords(provider),
      provider.clientId === "" ? <span class="soft none">{"\u2013"}</span> : <bdi>{provider.clientId}</bdi>,
      ...(failing ? [<Health failing={failing.get(provider.id)} />] : []),
      <a class="button quiet small" href={pathWith("/connections", { provider: provider.id })}>
        Connections<span class="hidden"> of {provider.name}</span>
      </a>,
    ],
  }));
  const content = (
    <>
      <div id="providers" data-poll="3">
        {providers.length === 0 ? (
          <div class="card empty">
            <h2>There is no provider {canAdd ? "yet" : "that you may see"}</h2>
            {canAdd && (
              <>
                <p>
                  The catalogue knows how to talk to some 240 of them: pick one, and enter your client id.
                </p>
                <p class="soft">In a terminal: <code>nexusd provider add</code></p>
              </>
            )}
          </div>
        ) : <Table caption="Registered providers" columns={columns} rows={rows} />}
      </div>
      {nextPageToken !== "" && (
        <p>
          <a class="button quiet" rel="next" href={pathWith(providersPath, { page: nextPageToken })}>
            Next page
          </a>
        </p>
      )}
    </>
  );
  return consolePage(request, {
    ...{ title: "Providers", section: providersPath, content },
    ...(canAdd && { actions: add }),
  });
}

function ProviderName({ request, provider }: { readonly request: PageRequest; readonly provider: Provider }) {
  const shown = displayName(request, provider);
  return (
    <a class="named" href={`${providersPath}/${provider.id}`}>
      <Monogram name={shown} />
      <span>
        <bdi>{shown}</bdi>
        {shown !== provider.name && <code class="soft block">{provider.name}</code>}
      </span>
    </a>
  );
}

function Health({ failing }: { readonly failing: FailingProvider | undefined }) {
  const { text, tone } = healthOf(failing);
  return <><Chip tone={tone}>{text}</Chip>{failing && <p class="why">{failing.message}</p>}</>;
}
