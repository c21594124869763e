#!/bin/sh
# The image lets passwords in for databases; replication is a line of its own.
echo "host replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
