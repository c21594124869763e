// The two commands start here, on whatever Node there is. This file alone must be readable by an old one.
const [major] = process.versions.node.split(".").map(Number);
if (major < 20) {
  console.error(`Node 20 or newer is needed to begin with (this is ${process.version}); the rest is brought along.`);
  process.exit(1);
}
void import("./bootstrap.mjs").then(({ bootstrap }) => bootstrap(process.argv.slice(2)));
