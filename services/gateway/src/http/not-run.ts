import { AppError } from "@pricing-engine/chassis/errors";
import type { HttpApp } from "@pricing-engine/chassis/http";

/** Says why a call that exists elsewhere does not exist here. Mounted after everything that is run. */
export function mountNotRun(app: HttpApp, section: string, paths: readonly string[]): void {
  for (const path of paths) {
    app.all(path, () => {
      throw new AppError("not_found", {
        detail: `this engine does not run ${section}: the section is left out of its resource`,
      });
    });
  }
}

/** `/search` has an envelope of its own, also for this. */
export function mountSearchNotRun(app: HttpApp): void {
  const error = {
    code: "not_found",
    message: "this engine does not run ingest: the section is left out of its resource",
  };
  app.all("/search", (c) => c.json({ error, data: null }, 404));
}
