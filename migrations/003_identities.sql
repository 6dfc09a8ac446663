-- A member's identity: one mapping row from the first login on, filled in step by step by the saga.

CREATE TABLE user_pds_mapping (
  id                         bigserial PRIMARY KEY,
  user_id                    varchar(255) NOT NULL UNIQUE REFERENCES users (id) ON DELETE RESTRICT,
  pnptv_uuid                 uuid         NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  pds_did                    varchar(255) UNIQUE,
  pds_handle                 varchar(255) UNIQUE,
  pds_endpoint               varchar(500),          -- the PDS's public URL, as the PDS itself says it; null until published
  pds_public_key             text,                  -- the member's Ed25519 key, Multikey (base58btc)
  pds_private_key_encrypted  text,
  pds_private_key_iv         varchar(32),
  pds_private_key_auth_tag   varchar(32),
  pds_access_token           text,                  -- sealed, like every token and password here
  pds_refresh_token          text,
  status                     varchar(50)  NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'error', 'revoked')),
  error_message              text,
  last_verified_at           timestamptz,
  verification_status        varchar(50)  NOT NULL DEFAULT 'unknown' CHECK (verification_status IN ('accessible', 'inaccessible', 'unknown')),
  key_rotation_date          timestamptz,
  next_key_rotation          timestamptz  NOT NULL DEFAULT now() + interval '90 days',
  created_at                 timestamptz  NOT NULL DEFAULT now(),
  updated_at                 timestamptz  NOT NULL DEFAULT now(),

  provisioning_step          text         NOT NULL DEFAULT 'requested'
    CHECK (provisioning_step IN ('requested', 'reserved', 'account_created', 'identity_published', 'activated', 'secured')),
  error_code                 text,
  epoch                      bigint       NOT NULL DEFAULT 0,   -- fencing token: every claim adds 1, every later write names it
  lease_until                timestamptz,
  provider_id                text         REFERENCES pds_providers (id) ON DELETE RESTRICT,
  did_method                 text         NOT NULL DEFAULT 'web' CHECK (did_method IN ('web', 'plc')),
  data_key_id                uuid         REFERENCES pds_data_keys (id) ON DELETE RESTRICT,
  credential_version         integer      NOT NULL DEFAULT 1,   -- bound into every sealed value of the row
  account_email              varchar(320),
  account_password_sealed    text,
  bootstrap_key_sealed       text,                  -- k256 key that signs createAccount; destroyed in the last step
  atproto_public_key         text,                  -- the Multikey that #atproto shows now: ours first, then the PDS's
  create_started_at          timestamptz,           -- when createAccount last left; its outcome stays unknown for the quarantine
  document_settles_at        timestamptz,           -- null or future: the DID document is served with no-store
  consecutive_failures       integer      NOT NULL DEFAULT 0,

  -- Nothing remote happens before this holds: what makes the identity is chosen, sealed and stored.
  CONSTRAINT sealed_before_remote CHECK (
    provisioning_step = 'requested' OR (
      pds_handle IS NOT NULL AND pds_public_key IS NOT NULL AND pds_private_key_encrypted IS NOT NULL
      AND pds_private_key_iv IS NOT NULL AND pds_private_key_auth_tag IS NOT NULL
      AND account_password_sealed IS NOT NULL AND data_key_id IS NOT NULL AND provider_id IS NOT NULL
      AND (pds_did IS NOT NULL OR did_method = 'plc'))),
  CONSTRAINT active_is_complete CHECK (
    status <> 'active' OR (
      provisioning_step = 'secured' AND pds_did IS NOT NULL AND pds_endpoint IS NOT NULL
      AND pds_refresh_token IS NOT NULL AND bootstrap_key_sealed IS NULL))
);
CREATE TRIGGER user_pds_mapping_updated BEFORE UPDATE ON user_pds_mapping FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE INDEX user_pds_mapping_by_data_key ON user_pds_mapping (data_key_id);
CREATE INDEX user_pds_mapping_by_rotation ON user_pds_mapping (next_key_rotation) WHERE status = 'active';

-- One row per name under our domain. A DID's name is never issued again, so nobody can inherit an identity:
-- the row outlives the member.
CREATE TABLE hostnames (
  hostname    varchar(253) PRIMARY KEY CHECK (hostname = lower(hostname) AND hostname NOT LIKE '%.'),
  kind        text         NOT NULL CHECK (kind IN ('did', 'handle', 'reserved')),
  user_id     varchar(255) REFERENCES users (id) ON DELETE SET NULL,
  did         varchar(255),
  created_at  timestamptz  NOT NULL DEFAULT now(),
  released_at timestamptz
);
CREATE INDEX hostnames_by_user ON hostnames (user_id);

-- The member's own public keys, as his DID document lists them.
CREATE TABLE pds_verification_keys (
  id                   bigserial PRIMARY KEY,
  user_id              varchar(255) NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  key_id               varchar(50)  NOT NULL,       -- fragment without '#', e.g. pnptv-1
  algorithm            varchar(20)  NOT NULL DEFAULT 'ed25519' CHECK (algorithm IN ('ed25519', 'k256', 'p256')),
  public_key_multibase text         NOT NULL UNIQUE,
  state                varchar(20)  NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retiring', 'revoked')),
  created_at           timestamptz  NOT NULL DEFAULT now(),
  retire_at            timestamptz,
  UNIQUE (user_id, key_id)
);

CREATE TABLE pds_credential_backups (
  id                    bigserial PRIMARY KEY,
  user_id               varchar(255) NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  pnptv_uuid            uuid         NOT NULL,
  backup_type           varchar(50)  NOT NULL CHECK (backup_type IN ('manual', 'auto', 'recovery')),
  backup_data_encrypted text         NOT NULL,
  backup_iv             varchar(32)  NOT NULL,
  backup_auth_tag       varchar(32)  NOT NULL,
  is_used               boolean      NOT NULL DEFAULT false,
  used_at               timestamptz,
  created_at            timestamptz  NOT NULL DEFAULT now(),
  expires_at            timestamptz  NOT NULL DEFAULT now() + interval '30 days',
  data_key_id           uuid         NOT NULL REFERENCES pds_data_keys (id) ON DELETE RESTRICT,
  credential_version    integer      NOT NULL,
  CHECK (is_used = (used_at IS NOT NULL))
);
CREATE INDEX pds_credential_backups_by_user ON pds_credential_backups (user_id, created_at DESC);
CREATE INDEX pds_credential_backups_by_data_key ON pds_credential_backups (data_key_id);
