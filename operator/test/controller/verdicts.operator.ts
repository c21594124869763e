import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { GuardedRedis } from "@pricing-engine/redis";
import { eventually, type SpawnedService } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import {
  createEngine,
  engineBecomes,
  eventsOf,
  getObject,
  isReady,
  makePlace,
  makeSecrets,
  openRedis,
  type Place,
  patchEngine,
  type SeenEngine,
  settingsInRedis,
} from "./setup.ts";

let place: Place;
let redis: GuardedRedis;
let operator: SpawnedService;
/** What a processor says of itself; too soon: somebody else has used up its call. */
const says = new Map<string, "well" | "failing" | "too soon">();

beforeAll(async () => {
  place = await makePlace();
  redis = openRedis(place);
  operator = await place.startOperator();
});
afterAll(() => place?.close());

async function startProcessors(): Promise<readonly object[]> {
  const server = createServer(({ url = "" }, answer) => {
    const said = says.get(url.split("/")[1] ?? "");
    answer.statusCode = said === "too soon" ? 429 : 200;
    answer.setHeader("content-type", "application/json");
    answer.end(JSON.stringify({ failing: said === "failing", minResponseTime: 7 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  place.defer(async () => server.close());
  const { port } = server.address() as AddressInfo;
  return ["default", "fallback"].map((name) => ({ name, url: `http://127.0.0.1:${port}/${name}`, fee: "0.05" }));
}

/** Of `pricing_engine_processor_up`. */
async function metric(): Promise<Readonly<Record<string, number>>> {
  const page = await (await fetch(`http://127.0.0.1:${operator.metricsPort}/metrics`)).text();
  const found = page.matchAll(/^pricing_engine_processor_up\{.*processor="(\w+)".*\} (\d)$/gm);
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]));
}

const states = ({ status }: SeenEngine): string => (status.processors ?? []).map(({ state }) => state).join(" ");
const judged = ({ condition, status }: SeenEngine): string => {
  const { reason, status: is } = condition("ProcessorsHealthy") ?? {};
  return `${is} ${reason}; route: ${status.route}`;
};
const become = (wanted: string): Promise<SeenEngine> => engineBecomes(place, (engine) => states(engine) === wanted);

interface Told {
  readonly revision: number;
  readonly settings: { readonly payment: { readonly verdicts: Readonly<Record<string, { readonly state: string }>> } };
}
const told = async (): Promise<Told> => JSON.parse((await settingsInRedis(place, redis)) ?? "{}") as Told;

describe("a processor's verdict", () => {
  it("is Unknown once it is older than maxVerdictAge, wherever it is read, and comes back with the next answer", async () => {
    says.set("default", "failing").set("fallback", "well");
    await makeSecrets(place);
    const failover = { probeInterval: "5s", maxVerdictAge: "10s" };
    await createEngine(place, { payment: { processors: await startProcessors(), failover } });
    await engineBecomes(place, isReady);
    expect(judged(await become("Down Healthy"))).toBe("False ProcessorDown; route: fallback");
    expect(await metric()).toEqual({ default: 0, fallback: 1 });
    const before = await told();
    const { metadata: map } = await getObject(place, resourceTypes.configMaps, "shop-settings");

    says.set("default", "too soon");
    const expired = await become("Unknown Healthy");
    expect(judged(expired)).toBe("Unknown VerdictExpired; route: default");
    expect(expired.condition("ProcessorsHealthy")?.message).toContain("default is Unknown (nothing was heard for");
    expect(isReady(expired)).toBe(true);
    expect(await metric()).toEqual({ fallback: 1 });
    await eventually(async () =>
      expect(await eventsOf(place, "ProcessorUnknown")).toMatchObject([
        { type: "Warning", note: "processor default: Down → Unknown; route: default" },
      ]),
    );
    // Workers were told when it was made, and see its age for themselves: for them it is no new revision.
    const after = await told();
    expect(after.settings.payment.verdicts.default).toEqual(before.settings.payment.verdicts.default);
    expect(after.revision).toBe(before.revision);
    expect((await getObject(place, resourceTypes.configMaps, "shop-settings")).metadata).toEqual(map);

    says.set("default", "well");
    expect(judged(await become("Healthy Healthy"))).toBe("True AllHealthy; route: default");
    expect(await metric()).toEqual({ default: 1, fallback: 1 });
    await eventually(async () =>
      expect((await told()).settings.payment.verdicts.default).toMatchObject({ state: "Healthy" }),
    );
    // The other one was heard all the time.
    expect(await eventsOf(place, "ProcessorUnknown")).toHaveLength(1);
  });

  it("is Unknown while nobody is asked", async () => {
    await patchEngine(place, { metadata: { annotations: { "pricing-engine.dev/paused-failover": "true" } } });
    expect(judged(await become("Unknown Unknown"))).toBe("Unknown VerdictExpired; route: default");
    expect(await metric()).toEqual({});
    await patchEngine(place, { metadata: { annotations: { "pricing-engine.dev/paused-failover": null } } });
    expect(judged(await become("Healthy Healthy"))).toBe("True AllHealthy; route: default");
  });
});
