/** Where the tables of `migrations/` lie. */
export const schemaName = "gateway";
