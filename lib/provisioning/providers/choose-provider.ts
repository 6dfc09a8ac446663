import { wouldAdmit } from '../../pds/breaker.ts';
import type { Provider } from '../../pds/provider.ts';
import { readProviderStates } from '../../pds/providers.ts';
import { rankProviders } from '../../pds/rendezvous.ts';
import { ProvisioningError } from '../provisioning-error.ts';
import type { Run } from '../run.ts';

/**
 * Where a new member's account is to be made: the first of his providers whose breaker would let him in, or, while none
 * would, simply the first. Where there is only one, nobody is asked.
 */
export async function chooseProvider(run: Run): Promise<Provider> {
  const ranked = rankProviders(run.providers, run.identity.pnptv_uuid);
  const [first] = ranked;
  if (!first) {
    throw new ProvisioningError(
      'NO_PROVIDER',
      'There is no identity server to use. Operators must set PDS_LOCAL_ENDPOINT or PDS_REMOTE_PROVIDER.',
    );
  }
  if (ranked.length === 1) return first;
  const [open] = await admitting(run, ranked);
  return open ?? first;
}

/**
 * Who could take the member over now, the best first. Not one of `tried`; nor, once his attempts are spent, one that may
 * have an account of his: there he could only wait and look, and then come back here to do the same.
 */
export async function otherProviders(run: Run, tried: readonly string[]): Promise<Provider[]> {
  const others = run.providers.filter(({ id }) => !tried.includes(id));
  return others.length === 0 ? [] : admitting(run, rankProviders(others, run.identity.pnptv_uuid));
}

async function admitting(
  { sql, identity, work, now }: Run,
  ranked: readonly Provider[],
): Promise<Provider[]> {
  const states = await readProviderStates(
    sql,
    ranked.map(({ id }) => id),
  );
  const leaving = await sql<{ provider_id: string }[]>`
    SELECT provider_id FROM pds_possible_orphans
    WHERE user_id = ${identity.user_id}
      AND (state = 'closing' OR state = 'possible' AND ${work.attemptCount >= work.maxAttempts})`;
  const open = new Set(states.filter((state) => wouldAdmit(state, now())).map(({ id }) => id));
  for (const { provider_id } of leaving) open.delete(provider_id);
  return ranked.filter(({ id }) => open.has(id));
}
