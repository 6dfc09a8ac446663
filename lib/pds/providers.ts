import { AppError } from '../app-error.ts';
import type { Queryable } from '../db/connect.ts';
import { type Capability, capabilitiesOf, type Provider } from './provider.ts';

/** What all workers know together about a provider. */
export type ProviderState = {
  id: string;
  endpoint: string;
  service_did: string | null;
  breaker_state: 'closed' | 'open' | 'half_open';
  breaker_until: Date | null;
  consecutive_failures: number;
  throttled_until: Date | null;
};

/**
 * Writes the providers of the settings down, at a worker's start; one that moved forgets what was learned about it.
 * Rows that the settings no longer name stay, with the rights of anybody: members may live there.
 */
export async function storeProviders(sql: Queryable, providers: readonly Provider[]): Promise<void> {
  for (const provider of providers) {
    const { id, endpoint, weight } = provider;
    await sql`
      INSERT INTO pds_providers AS p (id, endpoint, weight, capabilities)
      VALUES (${id}, ${endpoint}, ${weight}, ${[...capabilitiesOf(provider)]})
      ON CONFLICT (id) DO UPDATE SET
        endpoint = excluded.endpoint, weight = excluded.weight, capabilities = excluded.capabilities,
        service_did = CASE p.endpoint WHEN excluded.endpoint THEN p.service_did END
      WHERE (p.endpoint, p.weight, p.capabilities)
        IS DISTINCT FROM (excluded.endpoint, excluded.weight, excluded.capabilities)`;
  }
  const formerCapabilities: Capability[] = ['list_repos'];
  await sql`
    UPDATE pds_providers SET capabilities = ${formerCapabilities}
    WHERE NOT id = ANY(${providers.map(({ id }) => id)}) AND capabilities <> ${formerCapabilities}`;
}

const stateColumns = (sql: Queryable) =>
  sql`id, endpoint, service_did, breaker_state, breaker_until, consecutive_failures, throttled_until`;

/** Throws PROVIDER_UNKNOWN. */
export async function readProviderState(sql: Queryable, id: string): Promise<ProviderState> {
  const [state] = await sql<ProviderState[]>`
    SELECT ${stateColumns(sql)} FROM pds_providers WHERE id = ${id}`;
  if (!state) throw new AppError('PROVIDER_UNKNOWN', `The database knows no provider "${id}".`);
  return state;
}

/** Of several at once, in no order. */
export async function readProviderStates(sql: Queryable, ids: readonly string[]): Promise<ProviderState[]> {
  return sql<ProviderState[]>`SELECT ${stateColumns(sql)} FROM pds_providers WHERE id IN ${sql(ids)}`;
}

/**
 * The provider of this state as the settings describe it. One that they no longer name is known by its row: who lives
 * there goes on living there, with the rights that anybody has.
 */
export function providerOf(providers: readonly Provider[], { id, endpoint }: ProviderState): Provider {
  return providers.find((provider) => provider.id === id) ?? { id, endpoint, weight: 0, former: true };
}

/** Keeps the DID that a PDS wants to be called by in service tokens; null: forget it, ask again. */
export async function storeServiceDid(sql: Queryable, id: string, serviceDid: string | null): Promise<void> {
  await sql`UPDATE pds_providers SET service_did = ${serviceDid} WHERE id = ${id}`;
}
