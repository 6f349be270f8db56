-- The role that copies: it streams, winds back (pg_rewind), and sees how far the other one is. Run it where writes are
-- taken, after `SET bedplate.password = '...'`; a second time it changes the password and nothing else.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'replication') THEN
    CREATE ROLE replication;
  END IF;
  EXECUTE format('ALTER ROLE replication LOGIN REPLICATION PASSWORD %L', current_setting('bedplate.password'));
END $$;
GRANT pg_monitor TO replication;
GRANT CONNECT ON DATABASE postgres TO replication;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO replication;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO replication;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO replication;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO replication;
