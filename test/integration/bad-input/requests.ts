import type { Contract } from '../../../lib/http/contract.ts';
import type { ErrorCode } from '../../../lib/http/error-codes.ts';
import type { ApiEvent } from '../../../lib/http/event.ts';
import { type Chance, chanceOf } from './chance.ts';
import { type Draft, eventOfDraft, type Fault, type Target } from './draft.ts';
import { FAULTS } from './faults.ts';
import { ORIGIN_SECRET } from './spoiled-ways.ts';
import { validInput } from './valid-input.ts';

/** A request with one thing wrong, and with which codes it may be refused: with none at all if that may be ignored. */
export type WrongRequest = { event: ApiEvent; fault: string; codes: readonly ErrorCode[] | undefined };
/** Adds to a draft what shows who sends it. */
export type Credentials = (draft: Draft, contract: Contract) => void;

const MOST_TRIES = 1_000;

/** Requests to one route without end, the same for the same seed: each is right, but for one thing. */
export function* wrongRequests(
  contract: Contract,
  credentials: Credentials,
  seed: number,
): Generator<WrongRequest> {
  const chance = chanceOf(seed);
  const part = (name: 'body' | 'query' | 'params') => validInput(contract, name, seed);
  const target: Target = { contract, body: part('body'), query: part('query'), params: part('params') };
  const faults = FAULTS.filter((fault) => fault.fits(target)).flatMap((fault) =>
    Array.from({ length: fault.weight }, () => fault),
  );
  for (;;) {
    const fault = chance.oneOf(faults);
    yield { event: spoiled(fault, target, credentials, chance), fault: fault.name, codes: fault.codes };
  }
}

function spoiled(fault: Fault, target: Target, credentials: Credentials, chance: Chance): ApiEvent {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const draft = rightDraft(target, chance);
    const early = fault.late || fault.spoil(draft, target, chance);
    credentials(draft, target.contract);
    const late = !fault.late || fault.spoil(draft, target, chance);
    if (early && late) return eventOfDraft(target.contract, draft);
  }
  throw new Error(`${target.contract.operationId} cannot be asked with ${fault.name}`);
}

function rightDraft({ contract, body, query, params }: Target, chance: Chance): Draft {
  const texts = (part: Target['query']) =>
    ({ ...(part && chance.oneOf(part.valid)) }) as Record<string, string>;
  return {
    body: body && JSON.stringify(chance.oneOf(body.valid)),
    query: texts(query),
    params: texts(params),
    cookies: [],
    headers: {
      'x-origin-secret': ORIGIN_SECRET,
      'x-pds-host': contract.host === 'app' ? 'localhost:3001' : 'nobody.pnptv.test',
      // Another network each time: what is tried here is what comes before the limits.
      'x-pds-address': [10, ...chance.bytes(3)].join('.'),
    },
  };
}
