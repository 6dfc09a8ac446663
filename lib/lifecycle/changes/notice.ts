import type { TIMES } from '../../provisioning/times.ts';

/** How long a member has to change his mind, in seconds. */
export type Notice = {
  /** From asking for the end of his identity to its beginning. */
  readonly deletion: number;
  /** From the consent of both accounts to the join. */
  readonly consentedJoin: number;
  /** The same when a second administrator stands in for the old account: it may hear of it late. */
  readonly approvedJoin: number;
  /** From asking to be handed over to another PDS to that; he hears of it again when a third of it is left. */
  readonly handOver: number;
  /** From asking for another recovery key without the one before to that; and until a first one is trusted. */
  readonly recoveryKey: number;
};

const DAY = 86_400;

/** `production` is what is promised; on one machine somebody wants to see it happen. */
export const NOTICES = {
  production: {
    deletion: DAY,
    consentedJoin: DAY,
    approvedJoin: 3 * DAY,
    handOver: 3 * DAY,
    recoveryKey: 3 * DAY,
  },
  local: { deletion: 60, consentedJoin: 60, approvedJoin: 180, handOver: 180, recoveryKey: 180 },
  test: { deletion: DAY, consentedJoin: DAY, approvedJoin: 3 * DAY, handOver: 3 * DAY, recoveryKey: 3 * DAY },
} as const satisfies Record<keyof typeof TIMES, Notice>;
