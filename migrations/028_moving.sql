-- The account that a member has moved away from stays, deactivated, until it is looked at again: then it is done away
-- with as any other that nobody uses (lib/lifecycle/move/).
ALTER TABLE pds_possible_orphans ADD COLUMN moved_at timestamptz;
-- To say whether one is being done away with at this moment: nobody moves in then.
GRANT SELECT (user_id, provider_id, state) ON pds_possible_orphans TO pds_api;
