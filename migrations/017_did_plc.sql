-- did:plc: the PDS makes the DID, so it is known only when the account is there. What makes it ours is chosen before.

ALTER TABLE user_pds_mapping
  ADD COLUMN service_handle      varchar(253) UNIQUE,  -- under which the account is born, in the PDS's own domain
  ADD COLUMN rotation_key_sealed text,                 -- our k256 rotation key of this DID
  ADD COLUMN rotation_public_key text,                 -- its public half, Multikey
  ADD CONSTRAINT rotation_key_before_remote CHECK (
    did_method = 'web' OR provisioning_step = 'requested'
    OR (rotation_key_sealed IS NOT NULL AND rotation_public_key IS NOT NULL)),
  ADD CONSTRAINT did_known_with_account CHECK (
    provisioning_step IN ('requested', 'reserved') OR pds_did IS NOT NULL);

-- As in 012_restore.sql, and with them comes the rotation key of a did:plc: what is sealed is sealed for a version of the
-- row, and that goes up. Which key it is does not change.
CREATE OR REPLACE FUNCTION restore_credentials(member varchar, backup bigint, held_epoch bigint, held_version integer, sealed jsonb)
RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  restored_at timestamptz;
BEGIN
  WITH used AS (
    UPDATE public.pds_credential_backups SET is_used = true, used_at = now()
    WHERE id = backup AND user_id = member AND NOT is_used
    RETURNING used_at
  ), replaced AS (
    UPDATE public.user_pds_mapping SET
      pds_public_key = fresh.pds_public_key,
      pds_private_key_encrypted = fresh.pds_private_key_encrypted,
      pds_private_key_iv = fresh.pds_private_key_iv,
      pds_private_key_auth_tag = fresh.pds_private_key_auth_tag,
      account_password_sealed = fresh.account_password_sealed,
      pds_access_token = fresh.pds_access_token,
      pds_refresh_token = fresh.pds_refresh_token,
      rotation_key_sealed = fresh.rotation_key_sealed,
      credential_version = held_version + 1,
      epoch = held_epoch + 1,
      lease_until = NULL
    FROM jsonb_to_record(sealed) AS fresh (
      pds_public_key text, pds_private_key_encrypted text, pds_private_key_iv text, pds_private_key_auth_tag text,
      account_password_sealed text, pds_access_token text, pds_refresh_token text, rotation_key_sealed text)
    WHERE user_id = member AND epoch = held_epoch AND credential_version = held_version AND status = 'active'
      AND (lease_until IS NULL OR lease_until <= now())
      AND EXISTS (
        SELECT FROM public.pds_verification_keys AS keys
        WHERE keys.user_id = member AND keys.public_key_multibase = fresh.pds_public_key AND keys.state <> 'revoked')
      AND EXISTS (
        SELECT FROM public.pds_credential_backups AS kept
        WHERE kept.user_id = member AND kept.backup_type = 'recovery'
          AND kept.xmin::text = (pg_current_xact_id()::text::numeric % 4294967296)::text)
    RETURNING user_id
  )
  SELECT used.used_at INTO restored_at FROM used, replaced;
  IF restored_at IS NULL THEN
    RAISE EXCEPTION 'restore_credentials: this backup cannot be restored, or not now'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN restored_at;
END $$;
