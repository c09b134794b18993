import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ClientKeys, PublishedKey } from "../../domain/token_endpoint/token_endpoint.js";
import {
  type ClientKeySchema,
  ClientKeyService,
  ListClientKeysResponseSchema,
  RotateClientKeysResponseSchema,
} from "../../gen/nexus/v1/client_key_pb.js";
import { clientKeyTypes, jwksPath } from "../../model/credentials/credentials.js";
import { present, timestampOf } from "../../service/messages/messages.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";

/** @param publicUrl without a trailing slash */
export function clientKeyService(clientKeys: ClientKeys, publicUrl: string): ServiceDefinition {
  const published = () => ({
    keys: clientKeys.list().map(clientKeyMessage),
    jwksUri: `${publicUrl}${jwksPath}`,
  });
  return defineService(ClientKeyService, {
    listClientKeys() {
      return create(ListClientKeysResponseSchema, published());
    },

    async rotateClientKeys({ type, compromised }, { principal }) {
      const only = clientKeyTypes.find((known) => known === type);
      await clientKeys.rotate({ type: only, isCompromised: compromised }, principal);
      return create(RotateClientKeysResponseSchema, published());
    },
  });
}

function clientKeyMessage(key: PublishedKey): MessageInitShape<typeof ClientKeySchema> {
  const { kid, type, isSigning, createdAtMs, signsFromMs, endsAtMs, jwk } = key;
  return present({
    kid,
    type,
    signing: isSigning,
    createdAt: timestampOf(createdAtMs),
    signsFrom: timestampOf(signsFromMs),
    endsAt: timestampOf(endsAtMs),
    publicJwk: JSON.stringify(jwk),
  });
}
