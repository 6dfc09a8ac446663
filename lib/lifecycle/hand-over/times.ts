const HOUR = 3600_000;

/** Once the notice is over, we look for his account at the new PDS, so often and so long. Then everything stays as it was. */
export const LOOK_EVERY_MS = HOUR;
export const LOOK_FOR_MS = 7 * 24 * HOUR;
/** The same once his account is closed, and he can write nowhere: a PLC directory refuses nobody for longer than a day. */
export const CLOSED_FOR_MS = 2 * 24 * HOUR;
/** How often he is told meanwhile. */
export const TELL_EVERY_MS = 24 * HOUR;
/** A PDS that cannot be made to close the old account by then holds nobody back: see close.ts. */
export const CLOSE_WITHIN_MS = 24 * HOUR;
/** So long his secrets can still be revealed to him after he has left. */
export const GRACE_DAYS = 30;
/** How old a request may be that a recovery key has signed. */
export const FRESH_MS = 5 * 60_000;
