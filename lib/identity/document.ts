import type { Did, Handle } from '../brands.ts';

type VerificationMethod = { id: string; type: 'Multikey'; controller: Did; publicKeyMultibase: string };
type Service = { id: string; type: 'AtprotoPersonalDataServer'; serviceEndpoint: string };

export type DidDocument = {
  '@context': readonly string[];
  id: Did;
  alsoKnownAs: readonly string[];
  verificationMethod: readonly VerificationMethod[];
  authentication: readonly string[];
  assertionMethod: readonly string[];
  service?: readonly Service[];
};

/** A member's own key: `id` is the fragment without `#`, e.g. `pnptv-1`. */
export type MemberKey = { id: string; publicKeyMultibase: string };

export type DidDocumentArgs = {
  did: Did;
  handle: Handle;
  /** Multikey of the repo key; until the PDS has given us its own, that of our bootstrap key. */
  atprotoKey: string;
  /** Active and retiring keys. A retiring key stays, or signatures made with it stop verifying at once. */
  memberKeys: readonly MemberKey[];
  /** The PDS's public URL exactly as the PDS writes it; null until it is known. */
  serviceEndpoint: string | null;
};

/**
 * The DID document of a member.
 * `#atproto` comes first because resolvers take the first match; every method names its controller because
 * `@atproto/identity` rejects a document without. No service before the PDS is known.
 * https://atproto.com/specs/did#did-documents
 */
export function didDocument({
  did,
  handle,
  atprotoKey,
  memberKeys,
  serviceEndpoint,
}: DidDocumentArgs): DidDocument {
  const method = (id: string, publicKeyMultibase: string): VerificationMethod => ({
    id: `${did}#${id}`,
    type: 'Multikey',
    controller: did,
    publicKeyMultibase,
  });
  const memberMethods = memberKeys.map((key) => method(key.id, key.publicKeyMultibase));
  const memberMethodIds = memberMethods.map(({ id }) => id);
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [method('atproto', atprotoKey), ...memberMethods],
    authentication: memberMethodIds,
    assertionMethod: memberMethodIds,
    ...(serviceEndpoint !== null && {
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }],
    }),
  };
}
