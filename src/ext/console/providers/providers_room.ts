import type { ConsoleRoom } from "../frame/console_visit.js";
import { addFromTemplate, addOwn, ownPage, templatePage } from "./add_form.js";
import { cataloguePage } from "./catalogue_page.js";
import { changeClient, clientPage } from "./client_form.js";
import { listPage, providersPath } from "./provider_list.js";
import { deletePage, deleteProvider, providerPage } from "./provider_page.js";

export const providersRoom: ConsoleRoom = {
  title: "Providers",
  path: providersPath,
  action: "provider.read",
  pages: {
    [providersPath]: listPage,
    [`${providersPath}/add`]: cataloguePage,
    [`${providersPath}/add/{template}`]: templatePage,
    [`${providersPath}/new`]: ownPage,
    [`${providersPath}/{id}`]: providerPage,
    [`${providersPath}/{id}/client`]: clientPage,
    [`${providersPath}/{id}/delete`]: deletePage,
  },
  actions: {
    [`${providersPath}/add/{template}`]: addFromTemplate,
    [`${providersPath}/new`]: addOwn,
    [`${providersPath}/{id}/client`]: changeClient,
    [`${providersPath}/{id}/delete`]: deleteProvider,
  },
};
