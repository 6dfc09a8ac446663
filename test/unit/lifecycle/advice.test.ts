import { describe, expect, it } from 'vitest';
import { advisedHours, asksTooMuch, requestsASweep } from '../../../lib/lifecycle/sweep/advice.ts';

describe('the advice for PDS_CREDENTIAL_CHECK_HOURS', () => {
  it.each([
    [1, 1],
    [1_000, 1],
    [1_001, 24],
    [10_000, 24],
    [50_000, 168],
    [100_000, 1_080],
    [1_000_000, 1_080],
  ])('for %i members is %i, and within the budget', (members, hours) => {
    expect(advisedHours(members)).toBe(hours);
    expect(asksTooMuch(members, hours)).toBe(false);
  });

  it('keeps a sweep over 100,000 members far below one request for 400, also when more are due than on average', () => {
    expect(requestsASweep(100_000, 1_080)).toBeLessThanOrEqual(200);
  });

  it('says no to once an hour for more than a PDS lets us ask', () => {
    expect(asksTooMuch(7_000, 1)).toBe(false);
    expect(asksTooMuch(7_300, 1)).toBe(true);
  });
});
