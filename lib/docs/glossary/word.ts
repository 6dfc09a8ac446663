/**
 * What a field means and, where its type does not say it, what stands in it. A field of a `failure` only, or one with
 * which the request of most would be one, is in no example: those show what goes well.
 */
export type Word = { readonly means: string; readonly example?: unknown; readonly failure?: true };
export type Words = Readonly<Record<string, Word>>;

/** Stands for PDS_DOMAIN in every example, those of the contracts too: openapi.ts puts the real one in its place. */
export const EXAMPLE_DOMAIN = 'pnptv.example';

export const HASH = '5f'.repeat(32);
export const ALICE_DID = `did:web:alice-nf5wn3.${EXAMPLE_DOMAIN}`;
export const ROTATION_KEY = 'did:key:zQ3shR6ZRPvP3QHbGnJXBFBYyniEZuW13ZL9urvob9EiNf6AW';
