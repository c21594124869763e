import { makeApiCaller } from "@pricing-engine/hack/envtest";
import { apiServer, eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { resourceTypes } from "../../src/kube/resource-types.ts";
import {
  createEngine,
  engineBecomes,
  getObject,
  isReady,
  makePlace,
  makeSecrets,
  type Place,
  patchEngine,
} from "./setup.ts";

const { httpRoutes, ingresses } = resourceTypes;
const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const routes = "httproutes.gateway.networking.k8s.io";
const api = makeApiCaller(apiServer());
let place: Place;

beforeAll(async () => {
  const names = { kind: "HTTPRoute", plural: "httproutes", singular: "httproute" };
  const openAPIV3Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const { status } = await api.call("POST", crds, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: routes, annotations: { "api-approved.kubernetes.io": "unapproved, for a test alone" } },
    spec: {
      group: "gateway.networking.k8s.io",
      scope: "Namespaced",
      names,
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  });
  expect(status).toBe(201);
  place = await makePlace();
  await makeSecrets(place);
  await eventually(() => place.kube.list(httpRoutes, { namespace: place.namespace }));
  await place.startOperator();
});

afterAll(async () => {
  await place?.close();
  await api.call("DELETE", `${crds}/${routes}`);
  api.close();
});

it("the way in is made as the resource says, and goes when it says so no more", async () => {
  const find = (type: typeof httpRoutes) => place.kube.find(type, "shop-gateway", place.namespace);
  await createEngine(place, { gateway: { httpRoute: { hostnames: ["shop.example"] } } });
  await engineBecomes(place, isReady);
  const route = await getObject(place, httpRoutes, "shop-gateway");
  expect(route.spec).toEqual({
    hostnames: ["shop.example"],
    rules: [{ backendRefs: [{ name: "shop-gateway", port: 9999 }] }],
  });

  await patchEngine(place, { spec: { gateway: { httpRoute: null, ingress: { ingressClassName: "nginx" } } } });
  await eventually(async () => expect(await find(ingresses)).toMatchObject({ spec: { ingressClassName: "nginx" } }));
  await eventually(async () => expect(await find(httpRoutes)).toBeUndefined());

  await patchEngine(place, { spec: { gateway: { ingress: null } } });
  await eventually(async () => expect(await find(ingresses)).toBeUndefined());
});
