/** The images of a release: one for each service, the operator, and the simulated payment processor. */
export interface ImageSpec {
  readonly name: string;
  readonly title: string;
  /** Entry point, from the root of the workspace. */
  readonly entry: string;
  /** Folders and files that are read while it runs: from the root → in the image. */
  readonly files: Readonly<Record<string, string>>;
}

/** Services find their migrations two folders above their entry point, as in the sources. */
export const bundlePath = "src/roles/main.mjs";

const service = (name: string, what: string): ImageSpec => ({
  name,
  title: `PricingEngine ${name}: ${what}`,
  entry: `services/${name}/src/main.ts`,
  files: { [`services/${name}/migrations`]: "migrations" },
});

const swaggerUi = ["package.json", "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"].map(
  (file): [string, string] => [
    `services/gateway/node_modules/swagger-ui-dist/${file}`,
    `node_modules/swagger-ui-dist/${file}`,
  ],
);

const gateway = service("gateway", "the only way in");

export const images: readonly ImageSpec[] = [
  { ...gateway, files: { ...gateway.files, ...Object.fromEntries(swaggerUi) } },
  service("pricing", "products, policies, published prices"),
  service("ingest", "provider feeds and search"),
  service("payment", "charges over two processors"),
  service("orders", "intake and saga"),
  {
    name: "operator",
    title: "PricingEngine operator: reconciles PricingEngine resources",
    entry: "operator/src/main.ts",
    files: {},
  },
  {
    name: "processor",
    title: "PricingEngine processor: a simulated payment processor, for development",
    entry: "test/simulators/processor/main.ts",
    files: {},
  },
];
