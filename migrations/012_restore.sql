-- Getting credentials back out of a backup.

-- What a backup is good for: `used` once it was restored, `expired` when its time is over, else `restorable`. The newest
-- of a member's unused backups does not expire. Newest is the one with the highest id, whatever its type and age: so
-- there is always one to go back to, until it is used; and whoever uses it makes a new one (lib/lifecycle/restore.ts).
CREATE FUNCTION backup_state(backup pds_credential_backups) RETURNS text LANGUAGE sql STABLE
RETURN CASE
  WHEN backup.is_used THEN 'used'
  WHEN backup.expires_at > now() OR NOT EXISTS (
    SELECT FROM public.pds_credential_backups AS newer
    WHERE newer.user_id = backup.user_id AND newer.id > backup.id AND NOT newer.is_used) THEN 'restorable'
  ELSE 'expired'
END;

-- Puts sealed credentials in the place of a member's present ones and marks the backup that they come from as used: the
-- only way for the API to touch what makes up an identity. All or nothing, and nothing unless the member is active, no
-- worker holds him, nobody claimed him since `held_epoch`, the key is one of his published ones, the backup is his and
-- unused, and a backup of what is replaced was written in this very transaction. The new epoch shuts out every worker
-- that still has the old credentials; the new version is the one that the new ones are sealed for.
CREATE FUNCTION restore_credentials(member varchar, backup bigint, held_epoch bigint, held_version integer, sealed jsonb)
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
      credential_version = held_version + 1,
      epoch = held_epoch + 1,
      lease_until = NULL
    FROM jsonb_to_record(sealed) AS fresh (
      pds_public_key text, pds_private_key_encrypted text, pds_private_key_iv text, pds_private_key_auth_tag text,
      account_password_sealed text, pds_access_token text, pds_refresh_token text)
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

REVOKE ALL ON FUNCTION backup_state(pds_credential_backups), restore_credentials(varchar, bigint, bigint, integer, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION backup_state(pds_credential_backups) TO pds_api, pds_worker;
GRANT EXECUTE ON FUNCTION restore_credentials(varchar, bigint, bigint, integer, jsonb) TO pds_api;
