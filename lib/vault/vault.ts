import type { Sql } from 'postgres';
import { AppError } from '../app-error.ts';
import { KEY_BYTES } from './aes-gcm.ts';
import { createDataKeyCache, type DataKeyCache } from './data-key-cache.ts';
import { readWrappedKey } from './data-key-rows.ts';
import { type KeyWrapper, keyNamed } from './key-wrapper.ts';

/**
 * Everything that sealing needs. Its functions are `chooseDataKey` (choose-data-key.ts), `sealSecret` and
 * `openSecret` (secrets.ts). One vault a process: it holds the cache of opened data keys.
 */
export type Vault = {
  readonly sql: Sql;
  readonly wrapper: KeyWrapper;
  /** Stage name; part of every binding, so that no value of one stage opens in another. */
  readonly environment: string;
  readonly dataKeys: DataKeyCache;
};

/**
 * `wrapper` wraps new data keys; `oldWrappers` open those that they wrapped once, and nothing else. `now` gives
 * milliseconds since the epoch and only ages the cache. Randomness is not injected, on purpose.
 */
export function createVault(deps: {
  sql: Sql;
  wrapper: KeyWrapper;
  oldWrappers?: readonly KeyWrapper[];
  environment: string;
  now?: () => number;
}): Vault {
  const { sql, wrapper, oldWrappers = [], environment, now = Date.now } = deps;
  const openers = [wrapper, ...oldWrappers];
  const dataKeys = createDataKeyCache({ now, open: (id) => openDataKey({ sql, openers, environment }, id) });
  return { sql, wrapper, environment, dataKeys };
}

/** Reads and unwraps one data key, with the key that its row names: one query and one call to KMS. */
async function openDataKey(
  { sql, openers, environment }: Pick<Vault, 'sql' | 'environment'> & { openers: readonly KeyWrapper[] },
  dataKeyId: string,
): Promise<Uint8Array> {
  const row = await readWrappedKey(sql, environment, dataKeyId);
  if (!row) {
    throw new AppError('DATA_KEY_NOT_FOUND', `There is no data key ${dataKeyId} in "${environment}".`);
  }
  const { wrapped_key, wrapper_key_id } = row;
  const opener = keyNamed(openers, wrapper_key_id);
  if (!opener) {
    const ours = openers.map(({ keyId }) => keyId).join(', ');
    throw new AppError(
      'DATA_KEY_UNREADABLE',
      `Data key ${dataKeyId} was wrapped by ${wrapper_key_id}, which the settings do not name: they name ${ours}.`,
    );
  }
  const key = await opener.unwrap(wrapped_key, { environment, dataKeyId });
  if (key?.length !== KEY_BYTES) {
    throw new AppError(
      'DATA_KEY_UNREADABLE',
      `Data key ${dataKeyId} does not open with ${wrapper_key_id}, which its row names: the row was changed.`,
    );
  }
  return key;
}
