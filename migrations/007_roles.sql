-- Who may do what. Three roles: the owner runs migrations and nothing else; pds_api answers requests; pds_worker
-- runs the saga, the sweeps and the clean-up. Neither owns anything, so neither can disable a trigger or drop a table.
-- They are made without LOGIN; lib/db/migrate.ts gives them their passwords. A later migration that adds a table
-- grants its rights itself: what is not granted is denied.

DO $$
DECLARE
  app_role text;
BEGIN
  FOREACH app_role IN ARRAY ARRAY['pds_api', 'pds_worker'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', app_role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;  -- roles belong to the cluster: another database of ours made it
    END;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), app_role);
  END LOOP;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO pds_api, pds_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- A data key is never deleted: whatever it sealed would be lost. It changes its state; its wrapped form changes
-- only together with the key that wraps it (re-wrapping, an owner's task), its meaning (id, environment) never.
CREATE FUNCTION pds_data_keys_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (NEW.id, NEW.environment, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.environment, OLD.created_at)
    OR (NEW.wrapped_key <> OLD.wrapped_key) <> (NEW.wrapper_key_id <> OLD.wrapper_key_id) THEN
    RAISE EXCEPTION 'pds_data_keys: a data key can only be re-wrapped by another key'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER rewrapped BEFORE UPDATE ON pds_data_keys FOR EACH ROW EXECUTE FUNCTION pds_data_keys_update();
CREATE TRIGGER never_deleted BEFORE DELETE ON pds_data_keys FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON pds_data_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE pds_data_keys ENABLE ALWAYS TRIGGER rewrapped;
ALTER TABLE pds_data_keys ENABLE ALWAYS TRIGGER never_deleted;
ALTER TABLE pds_data_keys ENABLE ALWAYS TRIGGER never_truncated;

-- Both: the audit log, the vault, what they read of each other.
GRANT SELECT, INSERT ON pds_provisioning_log, pds_erasure_keys, pds_data_keys, pds_health_checks TO pds_api, pds_worker;
GRANT UPDATE (state, sealed_members) ON pds_data_keys TO pds_api, pds_worker;
GRANT SELECT ON users, user_pds_mapping, pds_providers, hostnames, pds_verification_keys, dead_letters TO pds_api, pds_worker;
GRANT SELECT, INSERT ON pds_credential_backups TO pds_api, pds_worker;
GRANT SELECT, INSERT, UPDATE ON pds_provisioning_queue TO pds_api, pds_worker;

-- API: logins, sessions, the member's own requests. It makes the mapping row of a new member but cannot touch what
-- makes up an identity: DID, handle, keys, provider and everything sealed belong to the worker.
GRANT INSERT, UPDATE (username, first_name, last_name, photo_url, role, last_login_at) ON users TO pds_api;
GRANT SELECT, INSERT, UPDATE ON sessions, step_ups, rate_limits TO pds_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON totp_factors TO pds_api;
GRANT SELECT, INSERT ON login_nonces, telegram_updates TO pds_api;
GRANT INSERT (user_id, pnptv_uuid, did_method) ON user_pds_mapping TO pds_api;
GRANT UPDATE (status, error_code, error_message, last_verified_at, verification_status) ON user_pds_mapping TO pds_api;
GRANT UPDATE (redriven_at, redriven_by) ON dead_letters TO pds_api;

-- Worker: everything that makes, checks, rotates and ends an identity, and the clean-up of what expired.
GRANT INSERT, UPDATE ON user_pds_mapping, pds_providers, hostnames, pds_verification_keys, dead_letters TO pds_worker;
GRANT UPDATE (is_used, used_at) ON pds_credential_backups TO pds_worker;
GRANT DELETE ON pds_credential_backups, pds_provisioning_queue TO pds_worker;
GRANT SELECT, DELETE ON sessions, login_nonces, step_ups, rate_limits, telegram_updates TO pds_worker;
GRANT EXECUTE ON FUNCTION make_health_partitions(integer), erase_member(uuid) TO pds_worker;

GRANT USAGE ON SEQUENCE pds_provisioning_log_id_seq, pds_health_checks_id_seq, pds_credential_backups_id_seq,
  pds_provisioning_queue_id_seq TO pds_api, pds_worker;
GRANT USAGE ON SEQUENCE user_pds_mapping_id_seq TO pds_api, pds_worker;
GRANT USAGE ON SEQUENCE pds_verification_keys_id_seq, dead_letters_id_seq TO pds_worker;

-- A Lambda that was killed or frozen in a transaction must not hold a member's locks.
ALTER ROLE pds_api SET idle_in_transaction_session_timeout = '20s';
ALTER ROLE pds_api SET statement_timeout = '20s';
ALTER ROLE pds_worker SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE pds_worker SET statement_timeout = '60s';
