import { randomUUID } from 'node:crypto';
import type { Did, Handle } from '../../../../lib/brands.ts';
import type { Sql } from '../../../../lib/db/connect.ts';
import { didDocument } from '../../../../lib/identity/document.ts';
import { credentialsDue } from '../../../../lib/lifecycle/sweep/due.ts';
import type { Outside } from '../../../../lib/pds/probes/outside.ts';
import { storeProviders } from '../../../../lib/pds/providers.ts';
import { sealForMapping } from '../../../../lib/provisioning/secrets.ts';
import { MEMBERS_PER_KEY } from '../../../../lib/vault/choose-data-key.ts';
import { insertDataKey } from '../../../../lib/vault/data-key-rows.ts';
import type { Vault } from '../../../../lib/vault/vault.ts';
import { didOf, handleOf, tokenOf } from './many-accounts.ts';

export const REPO_KEY = 'zQ3shXjGShufuxcgocP9FVaw9oWMKDpyDYh9KmguEfLyGdf6i';

/** What the outside is told about these members: all of it right. */
export function outsideOf(endpoint: string): Outside {
  const fetchNames = async (input: Parameters<typeof fetch>[0]) => {
    const { hostname, pathname } = new URL(String(input));
    const n = Number(/^m(\d+)/.exec(hostname)?.[1]);
    const did = didOf(n) as Did;
    const handle = handleOf(n) as Handle;
    if (pathname.endsWith('atproto-did')) return new Response(did);
    return Response.json(
      didDocument({ did, handle, atprotoKey: REPO_KEY, memberKeys: [], serviceEndpoint: endpoint }),
    );
  };
  return { fetch: fetchNames as typeof fetch, plcUrl: 'http://127.0.0.1:9', timeoutMs: 5_000 };
}

type Made = {
  members: number;
  endpoint: string;
  checkHours: number;
  now: Date;
  /** So many, from the first on, were not checked for years. */
  overdue?: number;
};

/**
 * Very many members, active and accessible, all of whose credentials were proven an hour ago or were not due since. In
 * bulk: only the tokens of those who are due at the next sweep are sealed for real; nobody opens the others.
 */
export async function makeMembers(
  { owner, vault }: { owner: Sql; vault: Vault },
  { members, endpoint, checkHours, now, overdue = 0 }: Made,
): Promise<{ dataKeys: number; due: number }> {
  await storeProviders(owner, [{ id: 'local', endpoint, weight: 1 }]);
  const dataKeys: string[] = [];
  for (let made = 0; made < members; made += MEMBERS_PER_KEY) {
    const id = randomUUID();
    const { environment, wrapper } = vault;
    const { wrapped } = await wrapper.generateDataKey({ environment, dataKeyId: id });
    await insertDataKey(owner, {
      id,
      wrapped_key: wrapped,
      wrapper_key_id: wrapper.keyId,
      environment,
      state: 'retired',
    });
    dataKeys.push(id);
  }
  const hourAgo = new Date(now.getTime() - 3600_000);
  await owner`INSERT INTO users (id) SELECT (1000000 + n)::text FROM generate_series(0, ${members - 1}::int) AS n`;
  await owner`
    INSERT INTO user_pds_mapping (
      user_id, pds_did, pds_handle, pds_endpoint, pds_public_key, pds_private_key_encrypted, pds_private_key_iv,
      pds_private_key_auth_tag, account_password_sealed, pds_refresh_token, provider_id, data_key_id, atproto_public_key,
      status, provisioning_step, verification_status, credentials_checked_at)
    SELECT (1000000 + n)::text, replace(${didOf(0)}, 'm0-', 'm' || n || '-'), replace(${handleOf(0)}, 'm0.', 'm' || n || '.'),
      ${endpoint}, 'z', 'x', 'x', 'x', 'x', 'x', 'local', (${dataKeys}::uuid[])[1 + n / ${MEMBERS_PER_KEY}::int], ${REPO_KEY},
      'active', 'secured', 'accessible', CASE WHEN n < ${overdue}::int THEN '2000-01-01' ELSE ${hourAgo}::timestamptz END
    FROM generate_series(0, ${members - 1}::int) AS n`;
  await owner`ANALYZE user_pds_mapping`;
  const due = await owner<
    { user_id: string; data_key_id: string; pds_did: string; credential_version: number }[]
  >`
    SELECT user_id, data_key_id, pds_did, credential_version FROM user_pds_mapping m
    WHERE ${credentialsDue(owner, { now: new Date(now.getTime() + 60_000), hours: checkHours })}`;
  const sealed = await Promise.all(
    due.map(async (member) => ({
      user_id: member.user_id,
      token: await sealForMapping(
        vault,
        member.data_key_id,
        member,
        'pds_refresh_token',
        tokenOf(member.pds_did, 0),
      ),
    })),
  );
  await owner`
    UPDATE user_pds_mapping m SET pds_refresh_token = sealed.token
    FROM jsonb_to_recordset(${owner.json(sealed)}) AS sealed (user_id text, token text) WHERE m.user_id = sealed.user_id`;
  return { dataKeys: dataKeys.length, due: due.length };
}
