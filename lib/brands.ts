declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A decentralized identifier, e.g. `did:web:alice-a1b2c3.pnptv.app` (W3C DID Core). */
export type Did = Brand<string, 'Did'>;
/** An atproto handle in lower case and without `@`, e.g. `alice.pnptv.app` (atproto: Handle). */
export type Handle = Brand<string, 'Handle'>;
/** Our own id of a member's identity, RFC 9562. */
export type Uuid = Brand<string, 'Uuid'>;
