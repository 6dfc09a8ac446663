import { apiError } from '../../http/error-codes.ts';
import { readRotationKey } from '../../identity/plc/signature.ts';
import { isTarget, type Strangers } from '../../pds/strangers.ts';
import type { Change, Facts } from '../changes/change.ts';
import type { Destination } from '../recovery-key/words.ts';

/** Where a member goes, as his change keeps it. */
export type Wish = Destination & {
  /** His recovery key asked for it, and is trusted: his session cannot take it back. */
  firm: boolean;
};

export type DestinationBody = {
  endpoint: string;
  atproto_key: string;
  handle?: string | undefined;
  rotation_keys?: readonly string[] | undefined;
};

/**
 * Throws `TARGET_INVALID` (400): for an endpoint that no document may name, for a key that is no k256 or p256 (a PDS has
 * no other, https://atproto.com/specs/cryptography). Whether a handle of another domain is his is looked at when it is due.
 */
export function readDestination(
  strangers: Pick<Strangers, 'privateAllowed'>,
  { endpoint, atproto_key, handle, rotation_keys = [] }: DestinationBody,
): Destination {
  const fields = [
    ...(isTarget(strangers, endpoint) ? [] : ['endpoint']),
    ...(readRotationKey(atproto_key) ? [] : ['atproto_key']),
    ...(rotation_keys.every((key) => readRotationKey(key)) ? [] : ['rotation_keys']),
  ];
  if (fields.length > 0) throw apiError('TARGET_INVALID', { fields });
  return { endpoint, atprotoKey: atproto_key, handle: handle ?? null, rotationKeys: rotation_keys };
}

export function factsOf({ endpoint, atprotoKey, handle, rotationKeys, firm }: Wish): Facts {
  return { endpoint, atproto_key: atprotoKey, handle, rotation_keys: [...rotationKeys], firm };
}

export function wishOf({ wish }: Pick<Change, 'wish'>): Wish {
  const { endpoint, atproto_key, handle, rotation_keys, firm } = wish;
  return {
    endpoint: String(endpoint),
    atprotoKey: String(atproto_key),
    handle: typeof handle === 'string' ? handle : null,
    rotationKeys: Array.isArray(rotation_keys) ? rotation_keys.map(String) : [],
    firm: firm === true,
  };
}

/** Whether a recovery key has asked for just this before. */
export function isSame(open: Pick<Change, 'kind' | 'requested_by' | 'wish'>, wish: Wish): boolean {
  const { kind, requested_by } = open;
  const before = factsOf(wishOf(open));
  const isWanted = Object.entries(factsOf(wish)).every(
    ([name, value]) => JSON.stringify(before[name]) === JSON.stringify(value),
  );
  return kind === 'hand_over' && requested_by === 'recovery_key' && isWanted;
}
