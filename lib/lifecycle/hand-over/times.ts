const HOUR = 3600_000;

/** What is asked for happens after that long: as long as a key of a did:plc can undo what one below it signed. */
export const NOTICE_MS = 72 * HOUR;
/** The second time that the member is told: so long before. */
export const REMINDED_BEFORE_MS = 24 * HOUR;
/** From then on we look for his account at the new PDS, so often and so long. Then everything stays as it was. */
export const LOOK_EVERY_MS = HOUR;
export const LOOK_FOR_MS = 7 * 24 * HOUR;
/** How often he is told meanwhile. */
export const TELL_EVERY_MS = 24 * HOUR;
/** A PDS that cannot be made to close the old account by then holds nobody back: see close.ts. */
export const CLOSE_WITHIN_MS = 24 * HOUR;
/** So long his secrets can still be revealed to him after he has left. */
export const GRACE_DAYS = 30;
/** How old a request may be that a recovery key has signed. */
export const FRESH_MS = 5 * 60_000;
