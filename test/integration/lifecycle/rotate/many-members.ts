import { randomBytes, randomUUID } from 'node:crypto';
import type { Sql } from '../../../../lib/db/connect.ts';
import { newMemberKey } from '../../../../lib/identity/keys.ts';
import { storeProviders } from '../../../../lib/pds/providers.ts';
import { mappingPlace, type SealedColumn, sealForMapping } from '../../../../lib/provisioning/secrets.ts';
import { MEMBERS_PER_KEY } from '../../../../lib/vault/choose-data-key.ts';
import { insertDataKey } from '../../../../lib/vault/data-key-rows.ts';
import { sealSecret } from '../../../../lib/vault/secrets.ts';
import type { Vault } from '../../../../lib/vault/vault.ts';
import { didOf, handleOf, tokenOf } from '../sweep/many-accounts.ts';
import { REPO_KEY } from '../sweep/many-members.ts';

export const memberId = (n: number) => String(2_000_000 + n);
const BULK = 1_000;

/** A PDS with the accounts of very many members, as far as a rotation and a check see one; without a network between. */
export function manyPasswords(url: string) {
  const passwords = new Map<string, string>();
  let requests = 0;
  let serial = 0;
  const session = (did: string) => {
    serial += 1;
    return Response.json({ did, accessJwt: tokenOf(did, serial), refreshJwt: tokenOf(did, serial + 0.5) });
  };
  const answer: Record<string, (input: Record<string, string>, did: string) => Response> = {
    'com.atproto.admin.updateAccountPassword': ({ did = '', password = '' }) => {
      passwords.set(did, password);
      return Response.json({});
    },
    'com.atproto.server.createSession': ({ identifier = '', password }) =>
      passwords.get(identifier) === password
        ? session(identifier)
        : Response.json({ error: 'AuthenticationRequired' }, { status: 401 }),
    'com.atproto.server.refreshSession': (_, did) => session(did),
    'com.atproto.server.checkAccountStatus': () => Response.json({ activated: true, validDid: true }),
    'com.atproto.server.describeServer': () => Response.json({ did: 'did:web:many.test' }),
    'com.atproto.sync.getRepoStatus': ({ did = '' }) => Response.json({ did, active: true }),
  };
  const fetchThere: typeof fetch = async (input, init) => {
    requests += 1;
    const { pathname, searchParams } = new URL(String(input));
    const body = init?.body ? JSON.parse(String(init.body)) : {};
    const [, claims] = (new Headers(init?.headers).get('authorization') ?? '').split('.');
    const did = claims ? JSON.parse(Buffer.from(claims, 'base64url').toString()).sub : '';
    const nsid = pathname.split('/').at(-1) ?? '';
    return (
      answer[nsid]?.({ ...Object.fromEntries(searchParams), ...body }, did) ??
      Response.json({ error: 'MethodNotImplemented' }, { status: 501 })
    );
  };
  return { url, fetch: fetchThere, passwords, requests: () => requests };
}

/**
 * Very many members, active and accessible, with secrets that are sealed for real, as many to a data key as that takes;
 * all of their keys are due. In bulk.
 */
export async function makeRotatable(
  { owner, vault, pds }: { owner: Sql; vault: Vault; pds: ReturnType<typeof manyPasswords> },
  members: number,
): Promise<void> {
  await storeProviders(owner, [{ id: 'local', endpoint: pds.url, weight: 1 }]);
  for (let begin = 0, dataKeyId = ''; begin < members; ) {
    if (begin % MEMBERS_PER_KEY === 0) dataKeyId = await makeDataKey(owner, vault);
    const end = Math.min(members, begin + BULK, begin - (begin % MEMBERS_PER_KEY) + MEMBERS_PER_KEY);
    const rows = await Promise.all(
      Array.from({ length: end - begin }, (_, index) => rowOf({ vault, pds }, begin + index, dataKeyId)),
    );
    await owner`INSERT INTO users ${owner(rows.map(({ user_id: id }) => ({ id })))}`;
    await owner`INSERT INTO user_pds_mapping ${owner(rows)}`;
    begin = end;
  }
  await owner`
    INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase)
    SELECT user_id, 'pnptv-1', pds_public_key FROM user_pds_mapping`;
  await owner`ANALYZE`;
}

async function makeDataKey(owner: Sql, { environment, wrapper }: Vault): Promise<string> {
  const id = randomUUID();
  const { wrapped } = await wrapper.generateDataKey({ environment, dataKeyId: id });
  const row = {
    id,
    wrapped_key: wrapped,
    wrapper_key_id: wrapper.keyId,
    environment,
    state: 'retired',
  } as const;
  await insertDataKey(owner, row);
  return id;
}

type Makers = { vault: Vault; pds: ReturnType<typeof manyPasswords> };

async function rowOf({ vault, pds }: Makers, n: number, dataKeyId: string) {
  const owner = { user_id: memberId(n), credential_version: 1 };
  const password = randomBytes(24).toString('base64url');
  const did = didOf(n);
  pds.passwords.set(did, password);
  const key = newMemberKey();
  const seal = (column: SealedColumn, secret: string) =>
    sealForMapping(vault, dataKeyId, owner, column, secret);
  const sealedKey = await sealSecret(
    vault,
    dataKeyId,
    mappingPlace(owner, 'pds_private_key_encrypted'),
    key.privateKey,
  );
  return {
    ...owner,
    data_key_id: dataKeyId,
    pds_did: did,
    pds_handle: handleOf(n),
    pds_endpoint: pds.url,
    provider_id: 'local',
    atproto_public_key: REPO_KEY,
    pds_public_key: key.publicKeyMultibase,
    pds_private_key_encrypted: sealedKey.body,
    pds_private_key_iv: sealedKey.iv,
    pds_private_key_auth_tag: sealedKey.tag,
    account_password_sealed: await seal('account_password_sealed', password),
    pds_access_token: await seal('pds_access_token', tokenOf(did, 0)),
    pds_refresh_token: await seal('pds_refresh_token', tokenOf(did, 0)),
    account_email: `${n}@mail.test`,
    status: 'active',
    provisioning_step: 'secured',
    verification_status: 'accessible',
    next_key_rotation: new Date(Date.now() - 60_000),
    document_settles_at: new Date(Date.now() - 3600_000),
  };
}
