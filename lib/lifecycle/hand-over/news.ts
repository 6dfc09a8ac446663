import type { Leaving, Saying } from '../../auth/bot/outbox.ts';
import type { Facts } from '../changes/change.ts';

/** What a member is told of his leaving. `by`: a user id, or `recovery_key`. `why`: what stands in its way. */
export function leavingNews(
  { wish, by }: { wish: Facts; by: string },
  { event, at, why }: { event: Leaving['event']; at?: Date; why?: string },
): Saying {
  return {
    kind: 'leaving',
    details: {
      event,
      endpoint: String(wish.endpoint),
      by_key: by === 'recovery_key',
      at: at?.toISOString() ?? null,
      why: why ?? null,
    },
  };
}
