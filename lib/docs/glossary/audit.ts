import { HASH, type Words } from './word.ts';

const _ECDSA = 'ECDSA, 64 bytes r and s, s in the lower half, in base64url';

/** The audit log. */
export const AUDIT: Words = {
  intact: { means: 'Every entry is as it was written, and none is missing' },
  'verifyAudit.members': { means: 'How many chains hold, up to the first that does not', example: 120 },
  'verifyAudit.entries': { means: 'How many entries hold, up to the first that does not', example: 1440 },
  broken: { means: 'The first entry that does not hold; null if all do', example: null },
  seq: { means: "The entry's place in its member's chain", example: 3 },
  'exportLog.entries': { means: 'Every entry, the oldest first' },
  format: { means: 'How this file is made: see lib/audit/export.ts' },
  erasure_key: { means: 'The key of the commitments; null when it was destroyed', example: HASH },
  user_id: { means: 'Telegram id of the member; null when it was erased', example: '123456789' },
  error_code: { means: 'What went wrong, for programs; null if nothing', example: null },
  created_by: {
    means: 'Who did it: a Telegram id, or `system`; null: the member, when he was erased',
    example: 'system',
  },
  user_id_commitment: { means: 'HMAC of `user_id` under the erasure key, in hex', example: HASH },
  details_commitment: { means: 'HMAC of `details` under the erasure key, in hex', example: HASH },
  error_message_commitment: { means: 'HMAC of `error_message` under the erasure key, in hex', example: HASH },
  prev_hash: { means: '`row_hash` of the entry before, in hex', example: HASH },
  row_hash: { means: 'Hash over this entry and `prev_hash`, in hex', example: HASH },
  'exportLog.root': { means: 'Proof that this log is under the newest signed root; null until there is one' },
  statement: { means: 'What is signed, in the form of RFC 8785' },
  'statement.format': { means: 'How roots are made: see lib/audit/root.ts' },
  environment: { means: 'The stage whose log it is', example: 'production' },
  'statement.members': { means: 'How many members have a log', example: 120 },
  'statement.entries': { means: 'How many entries all logs have', example: 1440 },
  'statement.root': { means: 'Merkle tree hash over the ends of all logs (RFC 6962), in hex', example: HASH },
  signature: { means: 'The signature of our KMS key' },
  public_key: {
    means: 'DER (SubjectPublicKeyInfo) in base64',
    example: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE',
  },
  algorithm: { means: 'How it is signed: ECDSA over P-256 with SHA-256' },
  value: { means: 'The signature, DER in base64', example: 'MEUCIQDk3sZ0' },
  leaf_index: { means: 'The place of this log among all', example: 7 },
  'root.seq': { means: 'Up to which entry it is under the root', example: 3 },
  path: { means: 'The hashes from this log to the root (RFC 6962, audit path), in hex', example: [HASH] },
  reason: { means: 'What about it does not hold' },
};
