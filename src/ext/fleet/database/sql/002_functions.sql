-- Functions carry their version in their name, so that old and new hubs run side by side. Each is one autocommit statement: no client
-- can be stopped while it holds a lock.

-- First in every function that writes. What follows sees all commits before the lock that it takes (read committed), waits for the
-- standbys whatever the role's default is, and does not queue behind a commit that waits for them.
CREATE OR REPLACE FUNCTION nexus.guard_1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a fleet writes in READ COMMITTED only' USING ERRCODE = '25001';
  END IF;
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  -- Sessions of ours have it already, but behind a pooler.
  IF current_setting('lock_timeout') <> '2500ms' THEN
    PERFORM set_config('lock_timeout', '2500', true);
  END IF;
END $$;

-- Whether this owner leads with this fence. A null is nobody's.
CREATE OR REPLACE FUNCTION nexus.leads_1(p_owner uuid, p_fence bigint) RETURNS boolean LANGUAGE sql AS $$
  SELECT EXISTS (SELECT 1 FROM nexus.lease WHERE name = 'leader' AND owner = p_owner AND fence = p_fence);
$$;

-- Makes one batch durable: ok | fenced | epoch | diverged.
CREATE OR REPLACE FUNCTION nexus.commit_1(p_owner uuid, p_fence bigint, p_epoch uuid, p_id uuid, p_after bigint, p_writes bytea)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  current_epoch uuid;
  newest record;
BEGIN
  PERFORM nexus.guard_1();
  SELECT epoch INTO current_epoch FROM nexus.head FOR UPDATE;
  IF current_epoch IS NULL OR current_epoch IS DISTINCT FROM p_epoch THEN RETURN 'epoch'; END IF;
  -- As leads_1, without its call.
  IF NOT EXISTS (SELECT 1 FROM nexus.lease WHERE name = 'leader' AND owner = p_owner AND fence = p_fence) THEN RETURN 'fenced'; END IF;
  SELECT position, id INTO newest FROM nexus.log ORDER BY position DESC LIMIT 1;
  IF newest.id = p_id THEN
    IF newest.position IS DISTINCT FROM p_after + 1 THEN RETURN 'diverged'; END IF;
    -- Asked again. A wait for the standbys that was cut left it visible and maybe on this server alone: this write waits for all before it.
    UPDATE nexus.log SET at = clock_timestamp() WHERE position = newest.position;
    RETURN 'ok';
  END IF;
  IF newest.position IS NULL OR newest.position IS DISTINCT FROM p_after THEN RETURN 'diverged'; END IF;
  INSERT INTO nexus.log (position, id, fence, at, writes) VALUES (p_after + 1, p_id, p_fence, clock_timestamp(), p_writes);
  PERFORM pg_notify('nexus', '');
  RETURN 'ok';
END $$;

-- One try to lead: the fence, or null while another one leads, and for a hub of a layout that was contracted.
CREATE OR REPLACE FUNCTION nexus.acquire_1(p_owner uuid, p_ms integer, p_address text, p_layout integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  wanted interval := make_interval(secs => p_ms / 1000.0);
  held nexus.lease;
  next_fence bigint;
BEGIN
  IF p_owner IS NULL OR p_ms IS NULL OR p_address IS NULL OR p_layout IS NULL OR p_ms < 1 THEN
    RAISE EXCEPTION 'a lease needs an owner, a duration, an address and a layout' USING ERRCODE = '22004';
  END IF;
  PERFORM nexus.guard_1();
  -- The common case takes no lock.
  PERFORM 1 FROM nexus.lease WHERE name = 'leader' AND owner <> p_owner AND until >= clock_timestamp()
    AND until <= clock_timestamp() + 2 * duration;
  IF FOUND THEN RETURN NULL; END IF;
  -- Behind the commit under way: what is read next is the truth.
  SELECT fence INTO next_fence FROM nexus.head FOR UPDATE;
  IF next_fence IS NULL THEN RAISE EXCEPTION 'the fleet has no store yet' USING ERRCODE = '55000'; END IF;
  IF p_layout < (SELECT min_layout FROM nexus.layout) THEN RETURN NULL; END IF;
  SELECT * INTO held FROM nexus.lease WHERE name = 'leader' FOR UPDATE;
  IF held.owner = p_owner THEN
    UPDATE nexus.lease SET until = clock_timestamp() + wanted, duration = wanted, address = p_address WHERE name = 'leader';
    RETURN held.fence;
  END IF;
  -- An end in the far future was written by another clock, as of a primary that is gone.
  IF held.until >= clock_timestamp() AND held.until <= clock_timestamp() + 2 * held.duration THEN RETURN NULL; END IF;
  next_fence := greatest(next_fence, held.fence, (SELECT max(l.fence) FROM (SELECT fence FROM nexus.log ORDER BY position DESC LIMIT 1) l)) + 1;
  UPDATE nexus.head SET fence = next_fence;
  INSERT INTO nexus.lease (name, owner, fence, until, duration, address)
    VALUES ('leader', p_owner, next_fence, clock_timestamp() + wanted, wanted, p_address)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fence = excluded.fence, until = excluded.until,
      duration = excluded.duration, address = excluded.address;
  RETURN next_fence;
END $$;

-- Whether it is still this owner's. It never inserts, and never takes.
CREATE OR REPLACE FUNCTION nexus.renew_1(p_owner uuid, p_fence bigint, p_ms integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nexus.guard_1();
  UPDATE nexus.lease SET until = clock_timestamp() + make_interval(secs => p_ms / 1000.0), duration = make_interval(secs => p_ms / 1000.0)
    WHERE name = 'leader' AND owner = p_owner AND fence = p_fence;
  RETURN FOUND;
END $$;

-- Ends it now. Whether it was this owner's.
CREATE OR REPLACE FUNCTION nexus.release_1(p_owner uuid, p_fence bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nexus.guard_1();
  UPDATE nexus.lease SET until = clock_timestamp() - interval '1 millisecond' WHERE name = 'leader' AND owner = p_owner AND fence = p_fence;
  RETURN FOUND;
END $$;

-- Says that a process is there. It is a write that waits for the standbys, hence so is all that was visible before it.
CREATE OR REPLACE FUNCTION nexus.heartbeat_1(p_owner uuid, p_address text, p_version text, p_layout integer, p_key_ids text[], p_applied bigint)
  RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nexus.guard_1();
  INSERT INTO nexus.member VALUES (p_owner, p_address, p_version, p_layout, p_key_ids, p_applied, clock_timestamp())
    ON CONFLICT (owner) DO UPDATE SET address = excluded.address, version = excluded.version, layout = excluded.layout,
      key_ids = excluded.key_ids, applied = excluded.applied, seen_at = excluded.seen_at;
  RETURN clock_timestamp();
END $$;

-- Changes the epoch, once for all who found this one to be over. The one that is in force now.
CREATE OR REPLACE FUNCTION nexus.change_epoch_1(p_from uuid) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nexus.guard_1();
  UPDATE nexus.head SET epoch = gen_random_uuid() WHERE epoch = p_from;
  RETURN (SELECT epoch FROM nexus.head);
END $$;

-- Takes the last writes of the batches after p_after up to p_upto into the image: ok | fenced | moved. A null p_upto: more of them follow.
CREATE OR REPLACE FUNCTION nexus.fold_1(p_owner uuid, p_fence bigint, p_after bigint, p_upto bigint, p_database text[], p_key bytea[], p_value bytea[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  at bigint;
BEGIN
  PERFORM nexus.guard_1();
  SELECT position INTO at FROM nexus.image FOR UPDATE;
  IF NOT nexus.leads_1(p_owner, p_fence) THEN RETURN 'fenced'; END IF;
  IF at IS NULL OR at IS DISTINCT FROM p_after THEN RETURN 'moved'; END IF;
  DELETE FROM nexus.entry e USING unnest(p_database, p_key, p_value) AS w (database, key, value)
    WHERE w.value IS NULL AND e.database = w.database AND e.key = w.key;
  INSERT INTO nexus.entry (database, key, value)
    SELECT w.database, w.key, w.value FROM unnest(p_database, p_key, p_value) AS w (database, key, value) WHERE w.value IS NOT NULL
    ON CONFLICT (database, key) DO UPDATE SET value = excluded.value;
  IF p_upto > p_after THEN
    IF NOT EXISTS (SELECT 1 FROM nexus.log WHERE position = p_upto) THEN
      RAISE EXCEPTION 'the log has no batch %', p_upto USING ERRCODE = '22003';
    END IF;
    UPDATE nexus.image SET position = p_upto;
  END IF;
  RETURN 'ok';
END $$;

-- Drops batches that are older than p_ms, in the image, and not among the newest p_rows; 5 000 at a time. How many, or -1: not the leader's.
CREATE OR REPLACE FUNCTION nexus.upkeep_1(p_owner uuid, p_fence bigint, p_ms bigint, p_rows bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  dropped integer;
BEGIN
  PERFORM nexus.guard_1();
  IF NOT nexus.leads_1(p_owner, p_fence) THEN RETURN -1; END IF;
  DELETE FROM nexus.log WHERE position IN (
    SELECT position FROM nexus.log
    WHERE position <= (SELECT position FROM nexus.image)
      AND position <= (SELECT max(position) FROM nexus.log) - greatest(p_rows, 1)
      AND at < clock_timestamp() - make_interval(secs => p_ms / 1000.0)
    ORDER BY position LIMIT 5000);
  GET DIAGNOSTICS dropped = ROW_COUNT;
  DELETE FROM nexus.member WHERE seen_at < clock_timestamp() - interval '1 day';
  RETURN dropped;
END $$;

-- Leaves token sets for the hub that leads. Any hub may: what they are worth is told by their seal, and by the mark of intent they answer.
CREATE OR REPLACE FUNCTION nexus.hand_over_1(p_token_sets bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF p_token_sets IS NULL OR array_position(p_token_sets, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'a token set is missing' USING ERRCODE = '22004';
  END IF;
  PERFORM nexus.guard_1();
  INSERT INTO nexus.spool (digest, at, token_set)
    SELECT sha256(s), clock_timestamp(), s FROM unnest(p_token_sets) AS s
    -- Asked again: as in commit_1, this write waits for the standbys with all before it.
    ON CONFLICT (digest) DO UPDATE SET at = excluded.at;
END $$;

-- Drops token sets whose outcome is in the log: the commit was fenced, so this need not be.
CREATE OR REPLACE FUNCTION nexus.taken_in_1(p_digests bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM nexus.guard_1();
  DELETE FROM nexus.spool WHERE digest = ANY (p_digests);
END $$;
