import { randomBytes } from "node:crypto";
import type { Sql } from "postgres";

/**
 * Notes what a setting is for whoever changes rows of a table, since no session can see another's. Returns what was seen, by the
 * name of the application.
 */
export async function watchSessionSetting(
  sql: Sql,
  { setting, table, on }: { readonly setting: string; readonly table: string; readonly on: "insert" | "update" },
): Promise<() => Promise<Record<string, string[]>>> {
  const name = `public.seen_${randomBytes(5).toString("hex")}`;
  await sql.unsafe(`
    create table ${name} (application text, value text);
    create function ${name}() returns trigger language plpgsql as $$
      begin
        insert into ${name} values (current_setting('application_name'), current_setting('${setting}'));
        return null;
      end $$;
    create trigger seen after ${on} on ${table} for each statement execute function ${name}()`);
  return async () => {
    const rows = await sql.unsafe<{ application: string; values: string[] }[]>(`
      select application, array_agg(distinct value) as values from ${name} group by application`);
    return Object.fromEntries(rows.map(({ application, values }) => [application, values]));
  };
}
