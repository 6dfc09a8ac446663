import type { Contract } from '../../../lib/http/contract.ts';
import type { ErrorCode } from '../../../lib/http/error-codes.ts';
import type { ApiEvent } from '../../../lib/http/event.ts';
import { eventOf } from '../http/app.ts';
import type { Chance } from './chance.ts';
import type { Part } from './valid-input.ts';

/** A request in the making. */
export type Draft = {
  body: string | Uint8Array | undefined;
  params: Record<string, string>;
  query: Record<string, string>;
  headers: Record<string, string | undefined>;
  cookies: string[];
  /** Changes to the event that no client could write as a header. */
  event?: Partial<ApiEvent>;
};

/** What a route takes, by its contract. */
export type Target = {
  contract: Contract;
  body: Part | undefined;
  query: Part | undefined;
  params: Part | undefined;
};

/** Spoils one thing in a draft that is right. Returns false when the result might be right, too. */
export type Spoil = (draft: Draft, target: Target, chance: Chance) => boolean;
export type Fault = {
  name: string;
  /** How much of the time, beside the others. */
  weight: number;
  /** The codes with which this may be refused; absent: it may also be ignored. */
  codes?: readonly ErrorCode[];
  /** Spoils by what the request shows who sends it: happens after that is there. */
  late?: boolean;
  fits(target: Target): boolean;
  spoil: Spoil;
};

export function eventOfDraft(
  contract: Contract,
  { body, params, query, headers, cookies, event }: Draft,
): ApiEvent {
  const base = eventOf(contract, {
    ...(body !== undefined && { rawBody: body }),
    ...(Object.keys(query).length > 0 && { query }),
    ...(Object.keys(params).length > 0 && { params }),
    headers,
  });
  return { ...base, ...(cookies.length > 0 && { cookies }), ...event };
}
