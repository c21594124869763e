#!/usr/bin/env bash
# The streaming replica: copies the primary once (or again, when its slot is gone), then follows it.
set -euo pipefail
data=/var/lib/postgresql/data/replica
address="host=postgres user=postgres password=$PGPASSWORD"
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --host postgres --username postgres --command "$1"; }

until sql "select 1" > /dev/null 2>&1; do sleep 1; done
status=$(sql "select wal_status from pg_replication_slots where slot_name = 'replica'")
if [ -z "$status" ] || [ "$status" = lost ] || [ ! -e "$data/standby.signal" ]; then
  rm -rf "$data" "$data.new"
  sql "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'replica'" > /dev/null
  pg_basebackup --dbname "$address" --pgdata "$data.new" --create-slot --slot replica \
    --wal-method stream --checkpoint fast --write-recovery-conf
  mv "$data.new" "$data"
fi
exec postgres -D "$data" -c "fsync=$FSYNC" -c hot_standby_feedback=on -c max_connections=400 -c timezone=UTC \
  -c listen_addresses='*'
