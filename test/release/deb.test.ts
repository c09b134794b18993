import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";
import { artefact, made, succeed, version } from "./made.js";

const debs = ["amd64", "arm64"].map((processor) => join(made, `nexusd_${version}_${processor}.deb`));

describe("the package of Debian", () => {
  test.each(debs)("%s has no errors for lintian", (deb) => {
    const { stdout } = spawnSync("lintian", ["--allow-root", "--fail-on", "none", deb], { encoding: "utf8" });
    expect(stdout.split("\n").filter((line) => line.startsWith("E: "))).toEqual([]);
  });

  /**
   * On this machine's system, whose files stay as they are: what is written lies in a layer above them. They must not change below it
   * meanwhile, so that the script takes the lock under which .ci/tools.sh installs packages.
   */
  const script = `
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --rbind /dev "$1/root/dev"
cp "$2" "$1/root/nexusd.deb"
dpkg-deb --raw-extract "$2" "$1/older"
sed -i 's/^Version: .*/Version: 0.9.0/' "$1/older/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$1/older" "$1/root/older.deb" >/dev/null
chroot "$1/root" sh -eu <<'INSIDE'
dpkg --force-depends -i /older.deb >/dev/null
dpkg-query --show --showformat '\${Version}\n' nexusd
stat -c '%n %U %a' /var/lib/nexusd /etc/nexusd/encryption.key
ls /usr/share/bash-completion/completions/nexusd /usr/share/zsh/vendor-completions/_nexusd /usr/share/fish/vendor_completions.d/nexusd.fish
systemd-analyze verify /lib/systemd/system/nexusd.service
man --warnings -l /usr/share/man/man1/nexusd.1.gz >/dev/null
base64 -d /etc/nexusd/encryption.key | wc -c
cp /etc/nexusd/encryption.key /key
setpriv --reuid nexusd --clear-groups touch /var/lib/nexusd/data
dpkg --force-depends -i /nexusd.deb >/dev/null
nexusd --version
stat -c '%n %U' /var/lib/nexusd/data
cmp /key /etc/nexusd/encryption.key && echo upgraded
dpkg --remove nexusd >/dev/null
ls /var/lib/nexusd /etc/nexusd
dpkg --purge nexusd >/dev/null
ls -d /var/lib/nexusd /etc/nexusd /usr/lib/nexusd 2>/dev/null || echo purged
INSIDE
`;

  test("is installed, upgraded from an older one, removed with its data left, and purged", () => {
    const place = temporaryFolder();
    const [deb = ""] = debs;
    const shown = succeed("flock", [
      ...["/tmp/nexusd-ci-apt.lock", "unshare", "--mount"],
      ...["sh", "-c", script, "sh", place, deb],
    ]);
    expect(shown.trimEnd().split("\n")).toEqual([
      "0.9.0",
      "/var/lib/nexusd nexusd 700",
      "/etc/nexusd/encryption.key root 600",
      "/usr/share/bash-completion/completions/nexusd",
      "/usr/share/fish/vendor_completions.d/nexusd.fish",
      "/usr/share/zsh/vendor-completions/_nexusd",
      "32",
      version,
      "/var/lib/nexusd/data nexusd",
      "upgraded",
      ...["/etc/nexusd:", "encryption.key", "", "/var/lib/nexusd:", "data"],
      "purged",
    ]);
  }, 900_000);

  /** arm64.test.ts runs that program. */
  test("for arm64 says so, and holds the program of the tarball", () => {
    const [, deb = ""] = debs;
    expect(succeed("dpkg-deb", ["--field", deb, "Architecture"])).toBe("arm64\n");
    const place = temporaryFolder();
    succeed("dpkg-deb", ["--extract", deb, place]);
    const tarball = artefact("nexusd-VERSION-linux-arm64.tar.gz");
    succeed("tar", ["--extract", "--file", tarball, "--directory", place]);
    const unpacked = join(place, `nexusd-${version}-linux-arm64`);
    for (const name of ["bin", "lib"])
      succeed("diff", ["--recursive", join(unpacked, name), join(place, "usr/lib/nexusd", name)]);
  });
});
