/** The payment section: an api and a worker, who is probed, and simulated processors where none are named. */
import { type PricingEngine, pausedAnnotation, pausedFailoverAnnotation } from "../api/resource.ts";
import type { ProcessorName } from "./failover.ts";
import type { EnvValue, FailoverPlan, PlannedWorkload, ProcessorPlan } from "./plan.ts";
import { commonEnv, value } from "./plan-env.ts";
import { planScale } from "./plan-scale.ts";

const processorNames: readonly ProcessorName[] = ["default", "fallback"];
/** Of simulated processors, for `npm start` and the shares in docs/guide/payments.md. */
const simulatedFees = { default: "0.05", fallback: "0.15" };
const simulatedToken = "123";

function planProcessors({ spec }: PricingEngine): readonly ProcessorPlan[] {
  const named = spec.payment?.processors;
  if (named === undefined) {
    return processorNames.map((name) => {
      return { name, url: { from: "workload", role: `processor-${name}` }, token: value(simulatedToken) };
    });
  }
  return named.map(({ name, url, secretRef }) => ({
    name,
    url: value(url),
    ...(secretRef === undefined ? {} : { token: { from: "secret", secret: secretRef.name, key: "token" } as const }),
  }));
}

export function planFailover(resource: PricingEngine): FailoverPlan | undefined {
  const { metadata, spec } = resource;
  if (spec.payment === undefined) return undefined;
  const { failureThreshold, maxVerdictAge, probeInterval, recoveryThreshold } = spec.payment.failover;
  return {
    processors: planProcessors(resource),
    probeIntervalMs: probeInterval.ms,
    maxVerdictAgeMs: maxVerdictAge.ms,
    failureThreshold,
    recoveryThreshold,
    paused: [pausedAnnotation, pausedFailoverAnnotation].some((name) => metadata.annotations[name] === "true"),
  };
}

export function planPayment(resource: PricingEngine): readonly PlannedWorkload[] {
  const { spec } = resource;
  if (spec.payment === undefined) return [];
  const env = commonEnv(resource);
  const processors = planProcessors(resource);
  const simulated = spec.payment.processors === undefined ? processorNames : [];
  return [
    ...simulated.map((name): PlannedWorkload => {
      return {
        role: `processor-${name}`,
        service: "processor",
        argument: name,
        replicas: 1,
        exposure: "internal",
        env: {
          PROCESSOR_FEE: value(simulatedFees[name]),
          PROCESSOR_TOKEN: value(simulatedToken),
          PROCESSOR_LEDGER: { from: "file", file: `processor-${name}` },
        },
      };
    }),
    {
      role: "payment-api",
      service: "payment",
      argument: "api",
      replicas: 1,
      exposure: "internal",
      env: { ...env, ENGINE_ROLE: value("api") },
    },
    {
      role: "payment-worker",
      service: "payment",
      argument: "worker",
      replicas: spec.payment.workers.min,
      exposure: "none",
      scale: planScale(resource, "payment-worker", spec.payment.workers, {
        besides: ["payment-controls"],
        waitsForPayments: true,
      }),
      env: {
        ...env,
        ENGINE_ROLE: value("worker"),
        ...Object.fromEntries(
          processors.flatMap(({ name, url, token }): [string, EnvValue][] => [
            [`PAYMENT_${name.toUpperCase()}_URL`, url],
            ...(token === undefined ? [] : [[`PAYMENT_${name.toUpperCase()}_TOKEN`, token] as [string, EnvValue]]),
          ]),
        ),
      },
    },
  ];
}
