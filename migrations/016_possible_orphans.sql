-- Accounts that may have come to be where their member does not live: a createAccount whose end nobody saw, after which
-- another provider took over. Kept with the password that was sealed for that provider, until it is known what became of
-- it (lib/provisioning/orphans/). One row a member and provider, used again when it happens again.
CREATE TABLE pds_possible_orphans (
  id                      bigserial PRIMARY KEY,
  user_id                 varchar(255) NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  pnptv_uuid              uuid         NOT NULL,
  provider_id             text         NOT NULL REFERENCES pds_providers (id) ON DELETE RESTRICT,
  pds_did                 varchar(255) NOT NULL,
  account_password_sealed text         NOT NULL,    -- bound to this row's id
  data_key_id             uuid         NOT NULL REFERENCES pds_data_keys (id) ON DELETE RESTRICT,
  create_started_at       timestamptz  NOT NULL,    -- when createAccount left, or the provider was last found asleep
  state                   text         NOT NULL DEFAULT 'possible' CHECK (state IN (
    'possible',                                     -- nobody knows yet
    'closing',                                      -- proven ours, about to be deleted or deactivated: nobody moves in
    'absent',                                       -- there is none
    'deleted',                                      -- there was one, proven ours
    'deactivated',                                  -- there is one, proven ours, that only the provider's operator can delete
    'foreign',                                      -- there is one that our password does not open: not touched
    'in_use')),                                     -- the member lives there after all
  absent_since            timestamptz,              -- possible: since when no account is seen there
  look_at                 timestamptz,              -- whoever looks has until then; deactivated: not before
  settled_at              timestamptz,
  created_at              timestamptz  NOT NULL DEFAULT now(),
  UNIQUE (user_id, provider_id)
);
CREATE INDEX pds_possible_orphans_open ON pds_possible_orphans (create_started_at) WHERE state IN ('possible', 'closing');

GRANT SELECT, INSERT, UPDATE ON pds_possible_orphans TO pds_worker;
GRANT USAGE ON SEQUENCE pds_possible_orphans_id_seq TO pds_worker;
