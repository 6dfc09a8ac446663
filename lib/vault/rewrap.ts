import { timingSafeEqual } from 'node:crypto';
import type { Sql } from 'postgres';
import { AppError } from '../app-error.ts';
import { KEY_BYTES } from './aes-gcm.ts';
import { listDataKeys, readWrappedKey, replaceWrapping } from './data-key-rows.ts';
import { type KeyContext, type KeyRewrapper, type KeyWrapper, keyNamed } from './key-wrapper.ts';
import type { Keyring } from './open-vault.ts';

type RewrapDeps = Keyring & {
  /** As the owner of the database: nobody else may change how a data key is wrapped. */
  sql: Sql;
  environment: string;
};

type Unopened = { dataKeyId: string; reason: string };
/** How many data keys were moved, and were there already; and those that could not be opened, and why. */
export type Rewrapped = { moved: number; already: number; unopened: Unopened[] };

/**
 * Moves every data key of the environment below `wrapper`. Each is opened with the key that its row names, wrapped,
 * opened again and compared before it takes the place of what was read, in one statement: so this may be killed at any
 * moment and repeated, or run twice at once, and every data key opens all the time. No sealed value is touched. Those
 * below `wrapper` already are opened, too: when nothing is unopened, `wrapper` alone opens all there are.
 *
 * What does not open is left as it is, and the others go on. Throws KMS_UNAVAILABLE (repeat it), and KMS_REFUSED or
 * DATA_KEY_UNREADABLE when `wrapper` does not wrap: what is moved by then stays moved.
 */
export async function rewrapDataKeys(deps: RewrapDeps): Promise<Rewrapped> {
  const result: Rewrapped = { moved: 0, already: 0, unopened: [] };
  for await (const dataKeyId of allDataKeys(deps)) {
    const outcome = await rewrap(deps, dataKeyId);
    if (typeof outcome === 'string') result[outcome] += 1;
    else result.unopened.push(outcome);
  }
  return result;
}

/** Also those that functions make meanwhile, perhaps below an old key. */
async function* allDataKeys({ sql, environment }: RewrapDeps): AsyncGenerator<string> {
  const seen = new Set<string>();
  for (;;) {
    const found = (await listDataKeys(sql, environment)).filter((id) => !seen.has(id));
    if (found.length === 0) return;
    for (const id of found) {
      seen.add(id);
      yield id;
    }
  }
}

async function rewrap(deps: RewrapDeps, dataKeyId: string): Promise<'moved' | 'already' | Unopened> {
  const { sql, environment, wrapper, oldWrappers } = deps;
  const context = { environment, dataKeyId };
  const row = await readWrappedKey(sql, environment, dataKeyId);
  const name = row?.wrapper_key_id ?? '';
  const opener = keyNamed([wrapper, ...oldWrappers], name);
  if (!row || !opener)
    return { dataKeyId, reason: `it is wrapped by ${name}, which the settings do not name` };
  const dataKey = await open(opener, row.wrapped_key, context);
  if (typeof dataKey === 'string') return { dataKeyId, reason: dataKey };
  try {
    if (opener === wrapper) return 'already';
    const to = await wrap(wrapper, dataKey, context);
    const change = { id: dataKeyId, from: row.wrapped_key, to, wrapperKeyId: wrapper.keyId };
    if (await replaceWrapping(sql, environment, change)) return 'moved';
  } finally {
    dataKey.fill(0);
  }
  // Another run was faster: see what it has made of it.
  return rewrap(deps, dataKeyId);
}

/** The data key, or why it does not open. */
async function open(
  opener: KeyWrapper,
  wrapped: Uint8Array,
  context: KeyContext,
): Promise<Uint8Array | string> {
  try {
    const dataKey = await opener.unwrap(wrapped, context);
    if (dataKey?.length === KEY_BYTES) return dataKey;
    return `it does not open with ${opener.keyId}, which its row names: the row was changed`;
  } catch (error) {
    if (error instanceof AppError && !error.retryable) return error.message;
    throw error;
  }
}

async function wrap(wrapper: KeyRewrapper, dataKey: Uint8Array, context: KeyContext): Promise<Uint8Array> {
  const wrapped = await wrapper.wrap(dataKey, context);
  const reopened = await wrapper.unwrap(wrapped, context);
  const opens = reopened?.length === KEY_BYTES && timingSafeEqual(reopened, dataKey);
  reopened?.fill(0);
  if (opens) return wrapped;
  throw new AppError(
    'DATA_KEY_UNREADABLE',
    `Data key ${context.dataKeyId} does not open after it was wrapped by ${wrapper.keyId}: nothing was changed.`,
  );
}
