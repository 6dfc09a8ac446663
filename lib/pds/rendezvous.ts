import { createHash } from 'node:crypto';
import type { Provider } from './provider.ts';

/**
 * The providers in the order in which they are a member's, by weighted rendezvous hashing: every process finds the same
 * order, each provider is the first of its weight's share of members, and one that goes or comes moves nobody between the
 * others. The score is -w / ln h, with h uniform in (0, 1) from the member's UUID and the provider's id: Schindelhauer and
 * Schomaker, "Weighted distributed hash tables" (SPAA 2005), the logarithmic method.
 */
export function rankProviders(providers: readonly Provider[], uuid: string): Provider[] {
  return providers
    .map((provider) => ({ provider, score: -provider.weight / Math.log(uniform(uuid, provider.id)) }))
    .sort((a, b) => b.score - a.score)
    .map(({ provider }) => provider);
}

const BITS = 48;

/** Never 0 and never 1. */
function uniform(uuid: string, providerId: string): number {
  const digest = createHash('sha256').update(`${uuid}\0${providerId}`).digest();
  return (digest.readUIntBE(0, BITS / 8) + 0.5) / 2 ** BITS;
}
