-- Leaving for a PDS of one's own choice, and the key by which a member does so who has lost all else.

-- Of a did:web; a did:plc has its own in the PLC directory. Public halves only.
CREATE TABLE pds_recovery_keys (
  user_id      varchar(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  did_key      text,         -- in force; null: none
  trusted_at   timestamptz,  -- before this the member's session can still take back what it asks for
  next_did_key text,         -- takes its place at next_at; null: nothing does
  next_at      timestamptz,  -- null: nothing is to change
  CHECK ((did_key IS NULL) = (trusted_at IS NULL)),
  CHECK (next_at IS NOT NULL OR next_did_key IS NULL)
);
GRANT SELECT, INSERT, UPDATE (did_key, trusted_at, next_did_key, next_at) ON pds_recovery_keys TO pds_api;

-- Who has left is `revoked` here, and his document names the PDS and the key that he gave. His secrets are destroyed when
-- their grace is over: what no account of ours hangs on any more needs none.
ALTER TABLE user_pds_mapping ADD COLUMN left_at timestamptz,
  ADD CONSTRAINT left_is_revoked CHECK (left_at IS NULL OR status = 'revoked'),
  DROP CONSTRAINT sealed_before_remote,
  ADD CONSTRAINT sealed_before_remote CHECK (
    provisioning_step = 'requested' OR left_at IS NOT NULL OR (
      pds_handle IS NOT NULL AND pds_public_key IS NOT NULL AND pds_private_key_encrypted IS NOT NULL
      AND pds_private_key_iv IS NOT NULL AND pds_private_key_auth_tag IS NOT NULL
      AND account_password_sealed IS NOT NULL AND data_key_id IS NOT NULL AND provider_id IS NOT NULL
      AND (pds_did IS NOT NULL OR did_method = 'plc'))),
  DROP CONSTRAINT rotation_key_before_remote,
  ADD CONSTRAINT rotation_key_before_remote CHECK (
    did_method = 'web' OR provisioning_step = 'requested' OR left_at IS NOT NULL
    OR (rotation_key_sealed IS NOT NULL AND rotation_public_key IS NOT NULL));
CREATE INDEX user_pds_mapping_by_leaving ON user_pds_mapping (left_at)
  WHERE left_at IS NOT NULL AND pds_private_key_encrypted IS NOT NULL;
