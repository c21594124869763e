import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAuthority } from "@pricing-engine/testkit";
import { stringify } from "yaml";
import type { Cluster } from "./cluster.ts";

/** dev-infra's broker answers with TLS too, signed by an authority that nobody knows. Resolves with the authority's certificate, PEM. */
export async function serveKafkaWithTls(cluster: Cluster, namespace: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "pe-kafka-tls-"));
  try {
    const { ca, serverFile } = makeAuthority(folder, "authority", `DNS:kafka.${namespace}.svc.cluster.local`);
    await cluster.apply(
      stringify({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "kafka-tls", namespace },
        stringData: { "server.pem": readFileSync(serverFile, "utf8") },
      }),
    );
    await cluster.helm(
      ...["upgrade", "infra", "charts/dev-infra", "--namespace", namespace, "--reuse-values"],
      ...["--set", "kafka.tlsSecret=kafka-tls", "--wait", "--timeout", "2m"],
    );
    return ca;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
