import type { Sql } from 'postgres';
import { AppError } from '../app-error.ts';
import { KEY_BYTES } from './aes-gcm.ts';
import { createDataKeyCache, type DataKeyCache } from './data-key-cache.ts';
import { readWrappedKey } from './data-key-rows.ts';
import type { KeyWrapper } from './key-wrapper.ts';

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

/** `now` gives milliseconds since the epoch and only ages the cache. Randomness is not injected, on purpose. */
export function createVault(deps: {
  sql: Sql;
  wrapper: KeyWrapper;
  environment: string;
  now?: () => number;
}): Vault {
  const { sql, wrapper, environment, now = Date.now } = deps;
  const dataKeys = createDataKeyCache({ now, open: (id) => openDataKey({ sql, wrapper, environment }, id) });
  return { sql, wrapper, environment, dataKeys };
}

/** Reads and unwraps one data key: one query and one call to KMS. */
async function openDataKey(
  { sql, wrapper, environment }: Omit<Vault, 'dataKeys'>,
  dataKeyId: string,
): Promise<Uint8Array> {
  const row = await readWrappedKey(sql, environment, dataKeyId);
  if (!row) {
    throw new AppError('DATA_KEY_NOT_FOUND', `There is no data key ${dataKeyId} in "${environment}".`);
  }
  const key = await wrapper.unwrap(row.wrapped_key, { environment, dataKeyId });
  if (key?.length !== KEY_BYTES) {
    throw new AppError(
      'DATA_KEY_UNREADABLE',
      `Data key ${dataKeyId} was wrapped by ${row.wrapper_key_id} and does not open with ${wrapper.keyId}.`,
    );
  }
  return key;
}
