/** Where objects are. */
export interface ObjectPlace {
  /** `v1`, `nexusd.dev/v1alpha1`. */
  readonly apiVersion: string;
  /** In the plural: `secrets`. */
  readonly resource: string;
  /** Left out for objects of the cluster, and for those of all namespaces. */
  readonly namespace?: string | undefined;
  /** Left out for a list. */
  readonly name?: string | undefined;
  readonly subresource?: "status";
  /** Of a list and a watch: of all objects there, the one of this name alone. */
  readonly only?: string;
}

export function pathOf({ apiVersion, resource, namespace, name, subresource }: ObjectPlace): string {
  const parts = [
    apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`,
    ...(namespace === undefined ? [] : ["namespaces", encodeURIComponent(namespace)]),
    resource,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return parts.join("/");
}

/** The query by which a list or a watch has what its place says. */
export function selectorOf({ only }: ObjectPlace): string {
  return only === undefined ? "" : `fieldSelector=metadata.name%3D${encodeURIComponent(only)}`;
}
