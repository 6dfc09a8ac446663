-- Hourly health sweeps: which there were, what they found out about providers, and what they remember of members.

CREATE TABLE health_sweeps (
  id           bigserial PRIMARY KEY,
  started_at   timestamptz NOT NULL,
  leased_until timestamptz NOT NULL,                -- one planner at a time
  planned_at   timestamptz,                         -- its messages are sent; null: it broke off, or is at it
  findings     jsonb       NOT NULL DEFAULT '{}'    -- by provider id: lib/lifecycle/sweep/sweeps.ts
);
GRANT SELECT, INSERT, UPDATE, DELETE ON health_sweeps TO pds_worker;
GRANT USAGE ON SEQUENCE health_sweeps_id_seq TO pds_worker;

ALTER TABLE user_pds_mapping
  ADD COLUMN seen_in_sweep   bigint NOT NULL DEFAULT 0,  -- the last sweep in which the PDS called the account active
  ADD COLUMN judged_in_sweep bigint NOT NULL DEFAULT 0,  -- the last sweep that counted a failure or its end: each does so once
  ADD COLUMN health_problem  text,                       -- what stands in the way: lib/pds/health-problems.ts; null: nothing
  -- A constant for those who are there already, so that each comes due at a time of his own (lib/lifecycle/sweep/due.ts).
  ADD COLUMN credentials_checked_at timestamptz NOT NULL DEFAULT now();
-- Every sweep writes every row: with room on its page, the new version needs no new entries in the indexes.
ALTER TABLE user_pds_mapping SET (fillfactor = 80);

ALTER TABLE pds_providers
  ADD COLUMN sweep_tokens    double precision,           -- requests that sweeps may make now: lib/lifecycle/sweep/request-budget.ts
  ADD COLUMN sweep_tokens_at timestamptz;
