import type { Identity } from '../../provisioning/identity.ts';
import type { Run } from '../../provisioning/run.ts';
import {
  mappingPlace,
  openFromMapping,
  type SealedColumn,
  sealForMapping,
} from '../../provisioning/secrets.ts';
import { openSecret, sealSecret } from '../../vault/secrets.ts';
import type { Change } from '../changes/change.ts';
import { foundBy, made, openMade } from './made.ts';
import type { Access } from './renew-access.ts';

type Resealed = Partial<Identity> & Pick<Identity, 'data_key_id' | 'credential_version'>;

/**
 * All that is sealed of a member's row, sealed for its next version under the data key of the change: what was rotated,
 * and as it was what could not be.
 */
export async function reseal(run: Run, change: Change, access: Access): Promise<Resealed> {
  const { vault, identity } = run;
  const dataKeyId = change.data_key_id ?? '';
  const owner = { user_id: identity.user_id, credential_version: identity.credential_version + 1 };
  const columns: Partial<Record<SealedColumn, string>> = {};
  const seal = async (column: SealedColumn, secret: Uint8Array | string) => {
    columns[column] = await sealForMapping(vault, dataKeyId, owner, column, secret);
    if (typeof secret !== 'string') secret.fill(0);
  };
  const keep = async (column: SealedColumn) => {
    const sealed = identity[column];
    if (sealed !== null) await seal(column, await openFromMapping(vault, identity, column, sealed));
  };
  if (access.password === 'new')
    await seal('account_password_sealed', await openMade(run, change, 'account_password'));
  else await keep('account_password_sealed');
  if ('kept' in access.session) {
    await keep('pds_access_token');
    await keep('pds_refresh_token');
  } else {
    await seal('pds_access_token', access.session.accessJwt);
    await seal('pds_refresh_token', access.session.refreshJwt);
  }
  // The new one stands there since it is published.
  await keep('rotation_key_sealed');
  return {
    ...columns,
    ...(await memberKey(run, change, { dataKeyId, owner })),
    data_key_id: dataKeyId,
    credential_version: owner.credential_version,
  };
}

async function memberKey(
  run: Run,
  change: Change,
  { dataKeyId, owner }: { dataKeyId: string; owner: { user_id: string; credential_version: number } },
) {
  const { vault, identity } = run;
  const isRotated = rotatesMemberKey(change);
  const seed = isRotated ? await openMade(run, change, 'member_key') : await openMemberKey(run);
  const { body, iv, tag } = await sealSecret(
    vault,
    dataKeyId,
    mappingPlace(owner, 'pds_private_key_encrypted'),
    seed,
  );
  seed.fill(0);
  return {
    pds_public_key: isRotated ? (foundBy(change).member_key ?? null) : identity.pds_public_key,
    pds_private_key_encrypted: body,
    pds_private_key_iv: iv,
    pds_private_key_auth_tag: tag,
  };
}

/** Where the document is not ours to change, the key stays that stands in it. */
export function rotatesMemberKey(change: Change): boolean {
  return made(change, 'member_key') && foundBy(change).not_ours !== true;
}

function openMemberKey({ vault, identity }: Run): Promise<Uint8Array> {
  return openSecret(vault, mappingPlace(identity, 'pds_private_key_encrypted'), {
    body: identity.pds_private_key_encrypted ?? '',
    iv: identity.pds_private_key_iv ?? '',
    tag: identity.pds_private_key_auth_tag ?? '',
  });
}
