/** A module of its own, imported by name: a bundle has what reads a kubeconfig and not the library's whole API. */
import { KubeConfig } from "@kubernetes/client-node";

export function loadKubeconfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}
