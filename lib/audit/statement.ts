import * as z from 'zod/mini';

export const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/, 'must be 32 bytes in hex'));
const base64 = z.string().check(z.regex(/^[A-Za-z0-9+/]+=*$/, 'must be base64'));

/** What is signed of a root, in the form of RFC 8785: how many chains and entries there were, and the hash over all. */
export const rootStatement = z.strictObject({
  format: z.literal('pds-audit-root/1'),
  environment: z.string(),
  created_at: z.iso.datetime(),
  members: z.int(),
  entries: z.int(),
  /** Merkle tree hash over the heads, sorted by pnptv_uuid. */
  root: hash,
});
export type RootStatement = z.output<typeof rootStatement>;

export const rootSignature = z.strictObject({
  /** DER, SubjectPublicKeyInfo, in base64. */
  public_key: base64,
  algorithm: z.literal('ECDSA_SHA_256'),
  /** DER, in base64. */
  value: base64,
});
export type RootSignature = z.output<typeof rootSignature>;

/** The end of a member's chain: his pnptv_uuid, how many entries it has, the hash of the last in hex. */
export type Head = [pnptvUuid: string, seq: number, rowHash: string];
