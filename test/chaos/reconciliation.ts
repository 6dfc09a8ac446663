import { AtpAgent } from '@atproto/api';
import { expect } from 'vitest';
import { hasWords } from '../../lib/provisioning/dead-letters/causes.ts';
import type { RunningPlatform } from '../e2e/running-platform.ts';

type Account = { did: string; active: boolean };
type Member = {
  user_id: string;
  pds_did: string | null;
  provider_id: string | null;
  status: string;
  error_code: string | null;
};

/** What the PDSs say themselves, held against our table, in figures. */
export type Reconciliation = {
  members: number;
  active: number;
  /** By the reason; a person can act on each. */
  failed: Record<string, number>;
  accounts: { pds: string; active: number; deactivated: number }[];
  /** Possible orphans, by what is known of them. */
  orphans: Record<string, number>;
  /** Members who are active and whose PDS does not say so. */
  lost: string[];
  /** Accounts that nobody can explain: of no member, or beside the one that he lives on and not written down. */
  unexplained: string[];
  /** DIDs that are active at two PDSs. */
  doubles: string[];
};

/** Asks every PDS for all its accounts, page by page, and compares. */
export async function reconcile({ platform, sql }: RunningPlatform): Promise<Reconciliation> {
  const members = await sql<Member[]>`
    SELECT user_id, pds_did, provider_id, status, error_code FROM user_pds_mapping`;
  const orphans = await sql<{ pds_did: string; provider_id: string; state: string }[]>`
    SELECT pds_did, provider_id, state FROM pds_possible_orphans`;
  const homes = new Map<string, Account[]>([['local', await accountsOf(platform.pds.url)]]);
  const { remotePds } = platform;
  if (remotePds) homes.set(`remote:${new URL(remotePds.url).host}`, await accountsOf(remotePds.url));

  const byDid = new Map(members.map((member) => [member.pds_did, member]));
  const writtenDown = new Set(orphans.map(({ pds_did, provider_id }) => `${pds_did} at ${provider_id}`));
  const all = [...homes].flatMap(([pds, accounts]) => accounts.map((account) => ({ ...account, pds })));
  const activeAt = (did: string | null) => all.filter((account) => account.did === did && account.active);
  const isExplained = ({ did, pds }: { did: string; pds: string }) =>
    byDid.get(did)?.provider_id === pds || (byDid.has(did) && writtenDown.has(`${did} at ${pds}`));
  const isLost = ({ status, pds_did, provider_id }: Member) =>
    status === 'active' && !activeAt(pds_did).some(({ pds }) => pds === provider_id);
  return {
    members: members.length,
    active: members.filter(({ status }) => status === 'active').length,
    failed: count(
      members.filter(({ status }) => status === 'error').map(({ error_code }) => String(error_code)),
    ),
    accounts: [...homes].map(([pds, accounts]) => ({
      pds,
      active: accounts.filter(({ active }) => active).length,
      deactivated: accounts.filter(({ active }) => !active).length,
    })),
    orphans: count(orphans.map(({ state }) => state)),
    lost: members.filter(isLost).map(({ user_id }) => user_id),
    unexplained: all.filter((account) => !isExplained(account)).map(({ did, pds }) => `${did} at ${pds}`),
    doubles: members.map(({ pds_did }) => String(pds_did)).filter((did) => activeAt(did).length > 1),
  };
}

/** Prints the reconciliation, and expects that nothing is lost, doubled or unexplained, and every failure has its words. */
export async function expectReconciled(running: RunningPlatform): Promise<Reconciliation> {
  const found = await reconcile(running);
  const { members, active, failed, accounts, orphans, lost, unexplained, doubles } = found;
  const figures = (counts: Record<string, number>) =>
    Object.entries(counts)
      .map(([name, number]) => `${number} ${name}`)
      .join(', ') || '0';
  const rows = [
    ['members', members],
    ['active', active],
    ['failed', figures(failed)],
    ...accounts.map(({ pds, ...states }) => [`accounts at ${pds}`, figures(states)]),
    ['possible orphans', figures(orphans)],
    ['lost', lost.length],
    ['unexplained', unexplained.length],
    ['doubles', doubles.length],
  ];
  console.log(rows.map(([name, value]) => `${String(name).padEnd(40)}${value}`).join('\n'));
  expect({ lost, unexplained, doubles }).toEqual({ lost: [], unexplained: [], doubles: [] });
  expect(Object.keys(failed).filter((code) => !hasWords(code))).toEqual([]);
  expect(active + Object.values(failed).reduce((sum, number) => sum + number, 0)).toBe(members);
  return found;
}

async function accountsOf(service: string): Promise<Account[]> {
  const agent = new AtpAgent({ service });
  const accounts: Account[] = [];
  let cursor: string | undefined;
  do {
    const { data } = await agent.com.atproto.sync.listRepos({ limit: 1000, ...(cursor && { cursor }) });
    accounts.push(...data.repos.map(({ did, active }) => ({ did, active: active === true })));
    cursor = data.cursor;
  } while (cursor);
  return accounts;
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
