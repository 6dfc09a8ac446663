-- The end of an identity, and its way to another Telegram account (lib/lifecycle/delete, lib/lifecycle/join).

-- Joins: an identity and the fresh one of its member's new Telegram account change owners. A row from the request on; the
-- changes that carry it out are two, one for each identity, so that neither is changed otherwise meanwhile.
CREATE TABLE pds_joins (
  id             bigserial    PRIMARY KEY,
  from_user_id   varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,  -- whose identity it is
  to_user_id     varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,  -- whose it shall be
  reason         text         NOT NULL,
  requested_by   varchar(255) NOT NULL,             -- an administrator
  created_at     timestamptz  NOT NULL DEFAULT now(),
  expires_at     timestamptz  NOT NULL DEFAULT now() + interval '7 days',  -- unless it is agreed on by then
  accepted_at    timestamptz,                       -- by the new account
  consented_at   timestamptz,                       -- by the old account: then no second administrator is needed
  approved_by    varchar(255),
  approved_at    timestamptz,
  change_id      bigint,                            -- of the old account's identity; from then on all have agreed
  ended_at       timestamptz,
  outcome        text CHECK (outcome IN ('done', 'refused', 'withdrawn', 'expired')),
  CHECK (from_user_id <> to_user_id),
  CHECK ((ended_at IS NULL) = (outcome IS NULL)),
  CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
  CONSTRAINT two_administrators CHECK (approved_by NOT IN (requested_by, from_user_id, to_user_id)),
  CONSTRAINT agreed_on CHECK (
    change_id IS NULL OR (accepted_at IS NOT NULL AND (consented_at IS NOT NULL OR approved_by IS NOT NULL)))
);
CREATE UNIQUE INDEX one_open_join_from ON pds_joins (from_user_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX one_open_join_to ON pds_joins (to_user_id) WHERE ended_at IS NULL;
CREATE INDEX pds_joins_by_from ON pds_joins (from_user_id, id);
CREATE INDEX pds_joins_by_to ON pds_joins (to_user_id, id);
CREATE INDEX pds_joins_waiting ON pds_joins (expires_at) WHERE ended_at IS NULL AND change_id IS NULL;
CREATE INDEX pds_joins_over ON pds_joins (ended_at) WHERE ended_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE (accepted_at, consented_at, approved_by, approved_at, change_id, ended_at, outcome)
  ON pds_joins TO pds_api;
GRANT SELECT, DELETE, UPDATE (ended_at, outcome) ON pds_joins TO pds_worker;
GRANT USAGE ON SEQUENCE pds_joins_id_seq TO pds_api;
GRANT DELETE ON pds_possible_orphans TO pds_worker;

-- Every table that names a member in `user_id`, but the log, which only erase_member changes. A later migration that adds
-- one need do nothing: what is not the Telegram account's own belongs to the identity, and a test lists them.
CREATE FUNCTION tables_of_members() RETURNS TABLE (name text, of_account boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.relname::text,
    c.relname IN ('sessions', 'step_ups', 'totp_factors', 'login_tokens', 'telegram_messages')
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND a.attname = 'user_id' AND NOT a.attisdropped AND c.relname <> 'pds_provisioning_log'
  ORDER BY 1
$$;

-- Erases a member and his identity from every table: sealed secrets, backups, keys, work, checks, sessions, messages, and
-- at last himself. Demands that his deletion is due, that nothing of his accounts is left to do, that the caller holds
-- him, and that his log was erased in this very transaction (erase_member). What stays: the DID's host, which nobody ever
-- gets again; the handle, for those who give names out to decide when; his log, emptied; data keys.
-- `former`: the ids that his log had named. One of another account of his, which is gone but for that, goes with it.
CREATE FUNCTION erase_identity(member varchar, held_epoch bigint, former varchar[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  identity uuid;
  each_table text;
BEGIN
  SELECT m.pnptv_uuid INTO identity
  FROM public.user_pds_mapping m
  JOIN public.pds_changes c ON c.user_id = m.user_id AND c.ended_at IS NULL
  JOIN public.pds_erasure_keys k ON k.pnptv_uuid = m.pnptv_uuid
  WHERE m.user_id = member AND m.epoch = held_epoch
    AND c.kind = 'delete' AND c.step = 'accounts_ended' AND c.due_at <= now()
    AND k.erasure_key IS NULL AND k.xmin::text = (pg_current_xact_id()::text::numeric % 4294967296)::text
    AND NOT EXISTS (
      SELECT FROM public.pds_possible_orphans o WHERE o.user_id = member AND o.state IN ('possible', 'closing'))
  FOR UPDATE OF m;
  IF identity IS NULL THEN
    RAISE EXCEPTION 'erase_identity: this member is not to be erased, or not now'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  UPDATE public.hostnames SET
      user_id = NULL, released_at = coalesce(released_at, now()),
      kind = CASE kind WHEN 'did' THEN 'did' ELSE 'reserved' END, did = CASE kind WHEN 'did' THEN did END
    WHERE user_id = member;
  DELETE FROM public.dead_letters d USING public.pds_provisioning_queue q WHERE q.id = d.queue_id AND q.user_id = member;
  DELETE FROM public.pds_joins WHERE member IN (from_user_id, to_user_id);
  DELETE FROM public.rate_limits WHERE right(bucket, length(member) + 1) = ':' || member;
  FOR each_table IN SELECT name FROM public.tables_of_members() WHERE name NOT IN ('hostnames', 'user_pds_mapping') LOOP
    EXECUTE format('DELETE FROM public.%I WHERE user_id = $1', each_table) USING member;
  END LOOP;
  DELETE FROM public.user_pds_mapping WHERE user_id = member;
  -- An identity that he has handed to another account of his still names this one in its log, as long as it lives.
  UPDATE public.users SET username = NULL, first_name = NULL, last_name = NULL, photo_url = NULL, role = 'member',
    tier = 'free', bot_language = NULL WHERE id = member;
  DELETE FROM public.users u WHERE u.id = ANY (former || member)
    AND NOT EXISTS (SELECT FROM public.user_pds_mapping m WHERE m.user_id = u.id)
    AND NOT EXISTS (SELECT FROM public.pds_provisioning_log l WHERE l.user_id = u.id);
END $$;

-- Carries a join out: the two identities change owners, with everything that belongs to them. What is sealed for a member
-- opens for nobody else, so the caller brings all of it sealed anew: of the mapping rows, the backups, the possible orphans.
-- All or nothing, and nothing unless everybody has agreed, it is due, the caller holds both members, and nothing that is
-- sealed was forgotten. What belongs to the Telegram account stays with it: its second factor, messages, the sessions of
-- the new one; those of the old one end.
CREATE FUNCTION join_identities(this_join bigint, from_epoch bigint, to_epoch bigint, sealed jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  j public.pds_joins;
  each_table text;
  nobody text := 'join:' || this_join;
  resealed integer;
BEGIN
  SELECT joins.* INTO j
  FROM public.pds_joins joins
  JOIN public.pds_changes a ON a.id = joins.change_id AND a.user_id = joins.from_user_id
  JOIN public.pds_changes b ON b.user_id = joins.to_user_id AND b.ended_at IS NULL
  JOIN public.user_pds_mapping mine ON mine.user_id = joins.from_user_id AND mine.epoch = from_epoch
  JOIN public.user_pds_mapping theirs ON theirs.user_id = joins.to_user_id AND theirs.epoch = to_epoch
  WHERE joins.id = this_join AND joins.ended_at IS NULL AND a.ended_at IS NULL AND a.due_at <= now()
    AND a.kind = 'join' AND b.kind = 'join' AND (b.wish->>'join_id')::bigint = this_join
  FOR UPDATE;
  IF j.id IS NULL THEN
    RAISE EXCEPTION 'join_identities: this join is not agreed on, not due, or somebody else has one of its members'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;

  -- A login that comes now waits, and finds what is then.
  PERFORM FROM public.users WHERE id IN (j.from_user_id, j.to_user_id) ORDER BY id FOR NO KEY UPDATE;
  -- By way of nobody: no two rows have one owner at any moment.
  INSERT INTO public.users (id) VALUES (nobody);
  FOR each_table IN SELECT name FROM public.tables_of_members() WHERE NOT of_account LOOP
    EXECUTE format('UPDATE public.%I SET user_id = $1 WHERE user_id = $2', each_table) USING nobody, j.from_user_id;
    EXECUTE format('UPDATE public.%I SET user_id = $1 WHERE user_id = $2', each_table) USING j.from_user_id, j.to_user_id;
    EXECUTE format('UPDATE public.%I SET user_id = $1 WHERE user_id = $2', each_table) USING j.to_user_id, nobody;
  END LOOP;
  DELETE FROM public.users WHERE id = nobody;

  UPDATE public.user_pds_mapping m SET
      pds_private_key_encrypted = fresh.pds_private_key_encrypted,
      pds_private_key_iv = fresh.pds_private_key_iv,
      pds_private_key_auth_tag = fresh.pds_private_key_auth_tag,
      account_password_sealed = fresh.account_password_sealed,
      bootstrap_key_sealed = fresh.bootstrap_key_sealed,
      pds_access_token = fresh.pds_access_token,
      pds_refresh_token = fresh.pds_refresh_token,
      rotation_key_sealed = fresh.rotation_key_sealed,
      credential_version = m.credential_version + 1,
      -- Above all that a worker of either account ever had: those fence by account, and find another identity there now.
      epoch = greatest(from_epoch, to_epoch) + 1,
      lease_until = NULL,
      -- Who had the account before may have revealed its keys: they are rotated with the next run.
      next_key_rotation = now()
    FROM jsonb_to_recordset(sealed->'mappings') AS fresh (
      id bigint, pds_private_key_encrypted text, pds_private_key_iv text, pds_private_key_auth_tag text,
      account_password_sealed text, bootstrap_key_sealed text, pds_access_token text, pds_refresh_token text,
      rotation_key_sealed text)
    WHERE m.id = fresh.id AND m.user_id IN (j.from_user_id, j.to_user_id)
      -- What is there must not get lost, nor come from nowhere.
      AND num_nulls(m.pds_private_key_encrypted, m.account_password_sealed, m.bootstrap_key_sealed, m.pds_access_token,
          m.pds_refresh_token, m.rotation_key_sealed)
        = num_nulls(fresh.pds_private_key_encrypted, fresh.account_password_sealed, fresh.bootstrap_key_sealed,
          fresh.pds_access_token, fresh.pds_refresh_token, fresh.rotation_key_sealed);
  GET DIAGNOSTICS resealed = ROW_COUNT;
  IF resealed <> 2 THEN
    RAISE EXCEPTION 'join_identities: sealed credentials are missing' USING ERRCODE = 'integrity_constraint_violation';
  END IF;

  UPDATE public.pds_credential_backups b SET
      backup_data_encrypted = fresh.backup_data_encrypted, backup_iv = fresh.backup_iv, backup_auth_tag = fresh.backup_auth_tag
    FROM jsonb_to_recordset(sealed->'backups') AS fresh (
      id bigint, backup_data_encrypted text, backup_iv text, backup_auth_tag text)
    WHERE b.id = fresh.id AND b.user_id IN (j.from_user_id, j.to_user_id);
  GET DIAGNOSTICS resealed = ROW_COUNT;
  IF resealed <> (SELECT count(*) FROM public.pds_credential_backups WHERE user_id IN (j.from_user_id, j.to_user_id)) THEN
    RAISE EXCEPTION 'join_identities: a backup is missing' USING ERRCODE = 'integrity_constraint_violation';
  END IF;

  UPDATE public.pds_possible_orphans o SET account_password_sealed = fresh.account_password_sealed
    FROM jsonb_to_recordset(sealed->'orphans') AS fresh (id bigint, account_password_sealed text)
    WHERE o.id = fresh.id AND o.user_id IN (j.from_user_id, j.to_user_id);
  GET DIAGNOSTICS resealed = ROW_COUNT;
  IF resealed <> (SELECT count(*) FROM public.pds_possible_orphans WHERE user_id IN (j.from_user_id, j.to_user_id)) THEN
    RAISE EXCEPTION 'join_identities: a possible orphan is missing' USING ERRCODE = 'integrity_constraint_violation';
  END IF;

  DELETE FROM public.sessions WHERE user_id = j.from_user_id;
  DELETE FROM public.login_tokens WHERE user_id = j.from_user_id;
  UPDATE public.pds_changes SET ended_at = now(), outcome = 'done'
    WHERE kind = 'join' AND ended_at IS NULL AND id <> j.change_id AND (wish->>'join_id')::bigint = this_join;
  UPDATE public.pds_joins SET ended_at = now(), outcome = 'done' WHERE id = this_join;
END $$;

REVOKE ALL ON FUNCTION tables_of_members(), erase_identity(varchar, bigint, varchar[]),
  join_identities(bigint, bigint, bigint, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_identity(varchar, bigint, varchar[]), join_identities(bigint, bigint, bigint, jsonb)
  TO pds_worker;
