import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Authority {
  /** Its own certificate, PEM. */
  readonly ca: string;
  /** File with the key and the chain of the server, PEM. */
  readonly serverFile: string;
}

/**
 * A certificate authority that nobody knows, and a server that it signed; its files lie in `dir`.
 * @param host of the server, such as `DNS:kafka.example`
 */
export function makeAuthority(dir: string, name: string, host = "IP:127.0.0.1"): Authority {
  const file = (suffix: string) => join(dir, `${name}-${suffix}`);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const fresh = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
  openssl(...fresh, "-subj", `/CN=${name}`, "-keyout", file("ca.key"), "-out", file("ca.crt"));
  const signed = ["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-addext", `subjectAltName=${host}`];
  openssl(...fresh, "-subj", "/CN=broker", ...signed, "-keyout", file("broker.key"), "-out", file("broker.crt"));
  const ca = readFileSync(file("ca.crt"), "utf8");
  const serverFile = file("broker.pem");
  writeFileSync(serverFile, readFileSync(file("broker.key"), "utf8") + readFileSync(file("broker.crt"), "utf8") + ca);
  return { ca, serverFile };
}
