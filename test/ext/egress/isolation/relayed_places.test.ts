import { expect, it } from "vitest";
import { relayedPlaces } from "../../../../src/ext/egress/isolation/relayed_places.js";

it("gives each name an address of its own, and each of its ports a place", () => {
  const asked = [
    { host: "api.example.com", port: 443 },
    { host: "api.example.com", port: 8443 },
    { host: "other.example.com", port: 443 },
    { host: "api.example.com", port: 443 },
    { host: "192.0.2.1", port: 443 },
    { host: "[2001:db8::1]", port: 443 },
  ];
  expect(relayedPlaces(asked)).toEqual([
    { host: "api.example.com", port: 443, address: "127.1.0.1" },
    { host: "api.example.com", port: 8443, address: "127.1.0.1" },
    { host: "other.example.com", port: 443, address: "127.1.0.2" },
  ]);
  const many = relayedPlaces(
    Array.from({ length: 300 }, (_, index) => ({ host: `h${index}.example.com`, port: 443 })),
  );
  expect(new Set(many.map(({ address }) => address)).size).toBe(300);
  expect(many[299]?.address).toBe("127.1.1.44");
});
