import * as z from 'zod/mini';
import type { Handle } from '../../brands.ts';
import { callXrpc, type PdsConnection } from '../xrpc.ts';
import { isRejection } from '../xrpc-error.ts';

/** What a DID document may name as a PDS: https://atproto.com/specs/did#did-documents, "serviceEndpoint". */
const publicOrigin = z.string().check(
  z.refine((value) => {
    const url = URL.parse(value);
    return url !== null && /^https?:$/.test(url.protocol) && url.origin === value.replace(/\/$/, '');
  }),
);

/** com.atproto.identity.resolveHandle, of a handle in the PDS's own domain: undefined when no active account has it. */
export async function resolveHandle(pds: PdsConnection, handle: Handle): Promise<string | undefined> {
  try {
    const { did } = await callXrpc(pds, {
      nsid: 'com.atproto.identity.resolveHandle',
      params: { handle },
      answer: z.object({ did: z.string() }),
    });
    return did;
  } catch (error) {
    if (isRejection(error)) return undefined;
    throw error;
  }
}

/** com.atproto.identity.updateHandle: of a did:plc, the PDS signs the operation. May be repeated. */
export async function updateHandle(pds: PdsConnection, accessJwt: string, handle: Handle): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.identity.updateHandle',
    input: { handle },
    authorization: `Bearer ${accessJwt}`,
  });
}

export type RecommendedCredentials = {
  repoKey: string;
  endpoint: string;
  alsoKnownAs: readonly string[];
  rotationKeys: readonly string[];
};

/**
 * com.atproto.identity.getRecommendedDidCredentials: the repo key (did:key), the PDS's public URL, to the letter, the
 * handle that the PDS knows the account by, and the rotation keys (did:key) by which it signs for a did:plc.
 */
export async function getRecommendedDidCredentials(
  pds: PdsConnection,
  accessJwt: string,
): Promise<RecommendedCredentials> {
  const recommended = await callXrpc(pds, {
    nsid: 'com.atproto.identity.getRecommendedDidCredentials',
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({
      alsoKnownAs: z.optional(z.array(z.string())),
      rotationKeys: z.optional(z.array(z.string()).check(z.maxLength(10))),
      verificationMethods: z.object({ atproto: z.string() }),
      services: z.object({
        atproto_pds: z.object({ endpoint: publicOrigin }),
      }),
    }),
  });
  return {
    repoKey: recommended.verificationMethods.atproto,
    endpoint: recommended.services.atproto_pds.endpoint,
    alsoKnownAs: recommended.alsoKnownAs ?? [],
    rotationKeys: recommended.rotationKeys ?? [],
  };
}
