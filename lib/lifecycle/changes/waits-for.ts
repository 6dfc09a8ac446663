/** The newest work of a change, as its row in the queue says; nulls where there is none, or the change is over. */
export type WorkOfChange = {
  work_status: string | null;
  parked_reason: string | null;
  /** What the new PDS of a member who leaves lacks (hand-over/wait-or-give-up.ts). */
  obstacle: string | null;
  /** It is not due yet. */
  is_early: boolean;
};

/** Why a change does not go on for now; null when it does. `operators`: it was given up, and they were told. */
export function waitsFor({ work_status, parked_reason, obstacle, is_early }: WorkOfChange): string | null {
  if (work_status === 'failed') return 'operators';
  if (work_status !== 'pending') return null;
  if (is_early) return 'notice';
  return parked_reason === 'member' ? (obstacle ?? 'member') : parked_reason;
}
