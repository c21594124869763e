import { defineConfig } from "vitest/config";

const exclude = ["**/node_modules/**"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{packages,services,operator,hack}/**/src/**/*.test.ts", "hack/**/*.test.ts"],
          exclude: [...exclude, "**/test/**"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "chaos",
          include: ["**/*.chaos.ts"],
          exclude,
          testTimeout: 600_000,
          hookTimeout: 300_000,
          maxWorkers: 1,
        },
      },
      // Need helm, so `npm test` leaves them to `pnpm test:charts`.
      { test: { name: "charts", include: ["**/*.charts.ts"], exclude, testTimeout: 60_000 } },
      // On a real kube-apiserver and etcd: where KUBEBUILDER_ASSETS points, or what `pnpm envtest` built. And on an engine's
      // real servers, for what the operator does there.
      {
        test: {
          name: "operator",
          include: ["**/*.operator.ts"],
          exclude,
          globalSetup: ["./packages/testkit/src/api-server-setup.ts", "./packages/testkit/src/global-setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 240_000,
          maxWorkers: 2,
        },
      },
      // Need Docker, kind, kubectl and helm.
      {
        test: {
          name: "cluster",
          include: ["**/*.cluster.ts"],
          exclude,
          testTimeout: 400_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
        },
      },
      { test: { name: "sim", include: ["**/*.sim.ts"], exclude, testTimeout: 180_000 } },
      {
        test: {
          name: "integration",
          include: ["**/test/**/*.test.ts"],
          exclude,
          globalSetup: ["./packages/testkit/src/global-setup.ts"],
          // These end what hangs; a busy machine is no failure.
          testTimeout: 120_000,
          hookTimeout: 240_000,
          maxWorkers: 2,
        },
      },
      // What is promised by the clock, measured with nothing else on the machine but the engine itself.
      {
        test: {
          name: "timed",
          include: ["**/test/**/*.timed.ts"],
          exclude,
          globalSetup: ["./packages/testkit/src/global-setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 240_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
