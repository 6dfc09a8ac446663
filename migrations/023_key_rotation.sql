-- When a member's keys are due, and what becomes of the old ones.

-- The moment after `since` at which the keys of this member are to be rotated, where that is done every so many days: each
-- has a moment of his own in the period, by his number, so that a burst of logins is no burst of rotations; and it is
-- never more than a period away.
CREATE FUNCTION next_key_rotation(member uuid, since timestamptz, days integer) RETURNS timestamptz LANGUAGE sql STABLE
RETURN (
  SELECT to_timestamp(at - (at - (hashtextextended(member::text, 0) & 9223372036854775807) % period) % period + period)
  FROM (SELECT floor(extract(epoch FROM since))::bigint AS at, days::bigint * 86400 AS period) AS given
);
REVOKE ALL ON FUNCTION next_key_rotation(uuid, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION next_key_rotation(uuid, timestamptz, integer) TO pds_worker;

-- Those who are there already; where keys are rotated more often the first run brings them forward.
UPDATE user_pds_mapping SET next_key_rotation = next_key_rotation(pnptv_uuid, now(), 90);

CREATE INDEX pds_verification_keys_retiring ON pds_verification_keys (retire_at) WHERE state = 'retiring';

-- As in 017_did_plc.sql; and the key that is the member's own again is `active`, and the one that took its place retires:
-- at `other_keys_retire_at`, or in a week. Both are in his document before and after. Of a did:plc the rotation key is
-- the present one: older ones are good for nothing.
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
  UPDATE public.pds_verification_keys SET
    state = CASE WHEN public_key_multibase = sealed ->> 'pds_public_key' THEN 'active' ELSE 'retiring' END,
    retire_at = CASE WHEN public_key_multibase <> sealed ->> 'pds_public_key'
      THEN coalesce(retire_at, (sealed ->> 'other_keys_retire_at')::timestamptz, now() + interval '7 days') END
  WHERE user_id = member AND state <> 'revoked';
  RETURN restored_at;
END $$;
