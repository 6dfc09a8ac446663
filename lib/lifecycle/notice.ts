import type { TIMES } from '../provisioning/times.ts';

/** How long a member has to change his mind, in seconds. */
export type Notice = {
  /** From asking for the end of his identity to its beginning. */
  readonly deletion: number;
  /** From the consent of both accounts to the join. */
  readonly consentedJoin: number;
  /** The same when a second administrator stands in for the old account: it may hear of it late. */
  readonly approvedJoin: number;
};

const DAY = 86_400;

/** `production` is what is promised; on one machine somebody wants to see it happen. */
export const NOTICES = {
  production: { deletion: DAY, consentedJoin: DAY, approvedJoin: 3 * DAY },
  local: { deletion: 60, consentedJoin: 60, approvedJoin: 180 },
  test: { deletion: DAY, consentedJoin: DAY, approvedJoin: 3 * DAY },
} as const satisfies Record<keyof typeof TIMES, Notice>;
