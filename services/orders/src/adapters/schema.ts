/** Name of the service's schema in Postgres; its tables are in `migrations/`. */
export const schemaName = "orders";
