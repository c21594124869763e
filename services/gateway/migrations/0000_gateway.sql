CREATE TABLE "gateway"."tenants" (
  "name" text PRIMARY KEY,
  "created_at" timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
-- A key itself is never stored: only its SHA-256, which is enough for 32 random bytes.
CREATE TABLE "gateway"."api_keys" (
  "key_id" uuid PRIMARY KEY,
  "tenant" text NOT NULL REFERENCES "gateway"."tenants" ("name"),
  "role" text NOT NULL CHECK ("role" IN ('reader', 'writer', 'admin')),
  "hash" text NOT NULL UNIQUE,
  "created_at" timestamptz NOT NULL DEFAULT now(),
  "revoked_at" timestamptz
);
