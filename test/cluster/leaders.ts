/** The operator that leads is lost: killed, or paused for longer than its lease. */
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@pricing-engine/testkit";
import { expect, test } from "vitest";
import type { Cluster, Note } from "./cluster.ts";
import { type EngineObject, engineBecomes, getEngine, isReady } from "./shop.ts";
import type { ShopClient } from "./shop-client.ts";

const system = "pricing-engine-system";
const operator = "operator-pricing-engine-operator";

interface LeaseObject {
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}

interface PodObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly containerStatuses: readonly { readonly containerID: string; readonly restartCount: number }[];
  };
}

interface Written {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly managedFields: readonly { readonly subresource?: string }[];
  };
}

export interface LeaderTests {
  cluster(): Cluster;
  readonly namespace: string;
  readonly patch: ShopClient["patch"];
  readonly note: Note;
}

export function testLeaders({ cluster, namespace, patch, note }: LeaderTests): void {
  const lease = async () => (await cluster().get<LeaseObject>("-n", system, `lease/${operator}`)).spec;
  const podOf = (holder: string) => holder.split("_")[0] ?? "";
  const months = ({ status }: EngineObject) => Math.min(...(status?.partitions ?? []).map((table) => table.months));

  /** The container's main process, by the runtime of its node: as if the machine did not run it. */
  async function findContainer(name: string) {
    const { spec, status } = await cluster().get<PodObject>("-n", system, `pod/${name}`);
    const [container] = status.containerStatuses;
    const id = container?.containerID.replace("containerd://", "") ?? "";
    const task = (verb: "pause" | "resume") =>
      cluster().docker("exec", spec.nodeName, "ctr", "--namespace", "k8s.io", "task", verb, id);
    return { id, restarts: container?.restartCount, pause: () => task("pause"), resume: () => task("resume") };
  }

  /**
   * Who wrote which fields when of what the operator makes. Not the status, which controllers write, nor the number of workers, which may
   * still go down after an earlier test.
   */
  async function writtenFields(): Promise<readonly { readonly kind: string; readonly fields: readonly object[] }[]> {
    const kinds = "deploy,cm,svc,sa,pdb,netpol,secret,hpa";
    const selector = "app.kubernetes.io/managed-by=pricing-engine-operator";
    const { items } = await cluster().get<{ items: readonly Written[] }>(
      ...["-n", namespace, kinds, "-l", selector, "--show-managed-fields"],
    );
    return items.map(({ kind, metadata: { name, uid, managedFields } }) => {
      return { kind, name, uid, fields: managedFields.filter(({ subresource }) => subresource === undefined) };
    });
  }

  /** What `ms` milliseconds of changes say of the engine's status, one line each, the present one first. */
  async function watchStatus(ms: number): Promise<readonly { generation: number; months: number }[]> {
    const path = '{.status.observedGeneration}{" "}{.status.partitions[*].months}{"\\n"}';
    const said = await cluster().shell(
      `timeout ${ms / 1000} kubectl -n ${namespace} get pe/shop --watch -o 'jsonpath=${path}' || [ $? = 124 ]`,
    );
    return said
      .trimEnd()
      .split("\n")
      .map((line) => {
        const [generation = Number.NaN, ...counts] = line.split(" ").map(Number);
        return { generation, months: Math.min(...counts) };
      });
  }

  /** As processes that start are told. */
  async function cacheTtlMs(): Promise<number> {
    const { data } = await cluster().get<{ data: Record<string, string> }>("-n", namespace, "cm/shop-settings");
    return JSON.parse(data["settings.json"] ?? "").settings.pricing.cacheTtlMs;
  }

  /** 1 or 0, by the process's own metric. */
  async function leads(pod: string): Promise<number> {
    const { address, close } = await cluster().forward(system, `pod/${pod}`, 8080);
    try {
      const page = await (await fetch(`${address}/metrics`)).text();
      return Number(/^leader_election_master_status\{.*\} (\d)$/m.exec(page)?.[1]);
    } finally {
      close();
    }
  }

  test("the leading operator killed: the other one acts within 20 s", async () => {
    const holder = (await lease()).holderIdentity;
    await cluster().kubectl("-n", system, "delete", `pod/${podOf(holder)}`, "--grace-period=0", "--force");
    const killedAt = performance.now();
    await patch({ partitions: { premakeMonths: 7 } });
    await engineBecomes(cluster(), namespace, "seven months ahead", (engine) => months(engine) >= 8);
    const tookMs = performance.now() - killedAt;
    note("leader killed → the standby made partitions", tookMs);
    expect((await lease()).holderIdentity).not.toBe(holder);
    expect(tookMs).toBeLessThan(20_000);
  });

  test("the leading operator paused for a minute: the other one acts within 20 s, and the woken one changes nothing", async ({
    onTestFinished,
  }) => {
    // A kubelet would kill after half a minute what does not answer: a stopped machine's kubelet does not either.
    const patient = {
      spec: { template: { spec: { containers: [{ name: "operator", livenessProbe: { failureThreshold: 60 } }] } } },
    };
    await cluster().kubectl("-n", system, "patch", `deploy/${operator}`, "-p", JSON.stringify(patient));
    await cluster().kubectl("-n", system, "rollout", "status", `deploy/${operator}`, "--timeout=2m");
    // A pod of before the rollout may lead until it has ended.
    const former = await eventually(
      async () => {
        const held = await lease();
        const { metadata } = await cluster().get<PodObject>("-n", system, `pod/${podOf(held.holderIdentity)}`);
        expect(metadata.deletionTimestamp).toBeUndefined();
        expect(await leads(metadata.name)).toBe(1);
        return held;
      },
      { timeoutMs: 60_000 },
    );
    const premade = months(await engineBecomes(cluster(), namespace, "Ready", isReady)) - 1;
    const container = await findContainer(podOf(former.holderIdentity));
    // It has this one in hand; what comes after it sees when it wakes.
    await patch({ partitions: { premakeMonths: premade + 1 }, pricing: { cacheTtl: "61s" } });
    await container.pause();
    // A node with a container that is paused cannot be deleted.
    onTestFinished(async () => void (await container.resume().catch(() => undefined)));
    const pausedAt = performance.now();
    const cpu = (request: string) => ({ resources: { requests: { cpu: request } } });
    await patch({ partitions: { premakeMonths: premade + 2 }, pricing: { cacheTtl: "62s", workers: cpu("21m") } });
    await eventually(async () => expect(await cacheTtlMs()).toBe(62_000), { timeoutMs: 60_000 });
    const tookMs = performance.now() - pausedAt;
    note("leader paused → the standby wrote settings", tookMs);
    expect(tookMs).toBeLessThan(20_000);
    await engineBecomes(cluster(), namespace, "two more months ahead", (engine) => months(engine) >= premade + 3);
    note("leader paused → the standby made partitions", performance.now() - pausedAt);
    const present = await lease();
    expect(podOf(present.holderIdentity)).not.toBe(podOf(former.holderIdentity));
    await engineBecomes(cluster(), namespace, "rolled out by the standby", isReady);
    const { generation } = (await getEngine(cluster(), namespace)).metadata;
    const before = await writtenFields();
    const kinds = before.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(["Deployment", "ConfigMap", "Service", "Secret", "NetworkPolicy"]));

    await delay(Math.max(0, 60_000 - (performance.now() - pausedAt)));
    const watching = watchStatus(20_000);
    await container.resume();
    note("the former leader was woken after", performance.now() - pausedAt);
    await eventually(async () => expect(await leads(podOf(former.holderIdentity))).toBe(0), { timeoutMs: 10_000 });
    for (const seen of await watching) expect(seen).toEqual({ generation, months: premade + 3 });
    expect(await writtenFields()).toEqual(before);
    expect(await lease()).toMatchObject({
      holderIdentity: present.holderIdentity,
      leaseTransitions: present.leaseTransitions,
    });
    // The same process: it waits its turn as the standby now.
    const woken = await findContainer(podOf(former.holderIdentity));
    expect([woken.id, woken.restarts]).toEqual([container.id, container.restarts]);
    await cluster().kubectl(
      "-n",
      system,
      "wait",
      "--for=condition=Ready",
      `pod/${podOf(former.holderIdentity)}`,
      "--timeout=30s",
    );
    await engineBecomes(cluster(), namespace, "Ready", isReady);
  });
}
