import type { HttpApp } from "@pricing-engine/chassis/http";
import type { GetSources } from "../usecases/get-sources.ts";

export function mountSources(app: HttpApp, { getSources }: { getSources: GetSources }): void {
  app.get("/api/v1/sources", async (c) => c.json(await getSources()));
}
