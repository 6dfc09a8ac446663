-- Data keys wrapped by KMS, and the Personal Data Servers that we may use.

CREATE TABLE pds_data_keys (
  id             uuid PRIMARY KEY,
  wrapped_key    bytea       NOT NULL,
  wrapper_key_id text        NOT NULL,              -- KMS key ARN, or the fingerprint of PDS_ENCRYPTION_KEY
  environment    text        NOT NULL,
  state          text        NOT NULL CHECK (state IN ('next', 'current', 'retired')),
  sealed_members integer     NOT NULL DEFAULT 0,    -- a target of about 500, not a counter to rely on
  created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX one_current_data_key ON pds_data_keys (environment) WHERE state = 'current';
CREATE UNIQUE INDEX one_next_data_key ON pds_data_keys (environment) WHERE state = 'next';

CREATE TABLE pds_providers (
  id                   text PRIMARY KEY,            -- local, remote
  endpoint             varchar(500) NOT NULL,       -- where we reach it; its public URL comes from itself
  service_did          text,
  weight               integer      NOT NULL DEFAULT 1 CHECK (weight > 0),
  capabilities         text[]       NOT NULL DEFAULT '{}',
  enabled              boolean      NOT NULL DEFAULT true,
  breaker_state        text         NOT NULL DEFAULT 'closed' CHECK (breaker_state IN ('closed', 'open', 'half_open')),
  breaker_until        timestamptz,                 -- open: nobody asks before; half open: one probe has until then
  consecutive_failures integer      NOT NULL DEFAULT 0,
  throttled_until      timestamptz,                 -- it said 429 and when to come back
  budget_tokens        double precision,
  budget_at            timestamptz,
  updated_at           timestamptz  NOT NULL DEFAULT now()
);
CREATE TRIGGER pds_providers_updated BEFORE UPDATE ON pds_providers FOR EACH ROW EXECUTE FUNCTION set_updated_at();
