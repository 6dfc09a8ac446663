import { REQUESTS_AN_HOUR } from './request-budget.ts';

/** README, "Health". What happens to an account the listing shows within the hour, so this is about silent changes only. */
const ADVICE = [
  { members: 1_000, hours: 1 },
  { members: 10_000, hours: 24 },
  { members: 50_000, hours: 168 },
] as const;
/** Half of a refresh token's life, so that there is another chance; keeps a sweep below one request for 400 members. */
const BEYOND = 1_080;
const LISTED_AT_ONCE = 1_000;

/** PDS_CREDENTIAL_CHECK_HOURS for a provider with so many members. */
export function advisedHours(members: number): number {
  return ADVICE.find((row) => members <= row.members)?.hours ?? BEYOND;
}

/** What a sweep asks of a provider with so many members, on average, when everybody is well. */
export function requestsASweep(members: number, hours: number): number {
  return 2 + Math.ceil(members / LISTED_AT_ONCE) + Math.ceil(members / hours);
}

/** Whether that is more than the budget gives: then checks come later than the setting says. */
export function asksTooMuch(members: number, hours: number): boolean {
  return requestsASweep(members, hours) > REQUESTS_AN_HOUR;
}
