-- A handle that its member gave up goes on answering for him for a while, and goes to nobody else until `free_at`.
ALTER TABLE hostnames
  ADD COLUMN serve_until timestamptz,  -- of a name that was given up: so long it still leads to its DID
  ADD COLUMN free_at     timestamptz,  -- from then on anybody may have it; null: never
  ADD CONSTRAINT given_up_only CHECK (
    (free_at IS NULL AND serve_until IS NULL) OR (kind <> 'did' AND released_at IS NOT NULL));
CREATE INDEX hostnames_given_up ON hostnames (released_at) WHERE released_at IS NOT NULL AND kind <> 'did';

-- Frees up to `most` handles whose time is over, and returns how many: those that were given up, and those of members who
-- have been erased for 90 days. May run at any time, twice and at once.
-- SECURITY DEFINER because the worker may delete no name: that of a DID is never issued again.
CREATE FUNCTION free_hostnames(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  freed integer;
BEGIN
  DELETE FROM public.hostnames WHERE hostname IN (
    SELECT hostname FROM public.hostnames
    WHERE released_at IS NOT NULL AND kind <> 'did' AND did IS DISTINCT FROM 'did:web:' || hostname
      AND (free_at <= now() OR (user_id IS NULL AND did IS NULL AND released_at <= now() - interval '90 days'))
    ORDER BY free_at LIMIT most FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS freed = ROW_COUNT;
  RETURN freed;
END $$;
REVOKE ALL ON FUNCTION free_hostnames(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION free_hostnames(integer) TO pds_worker;
