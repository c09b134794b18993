// The package for Debian: what the tarball holds, with a unit of systemd, a user, a manual page, and completions.

import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { run } from "./run.mjs";

const debianProcessor = { x64: "amd64", arm64: "arm64" };
const maintainer = "The nexusd authors <release@nexusd.dev>";

const copyright = `nexusd: Copyright the nexusd authors, Apache License 2.0.
The text is in /usr/share/common-licenses/Apache-2.0.

The packages of npm in its bundle: /usr/lib/nexusd/lib/nexusd/dist/bundle/LICENSES.txt

Node.js, Copyright Node.js contributors, and the libraries that it holds: LICENSE.node.gz in this folder.
`;

/**
 * @param folder what was laid out for the tarball of the processor
 * @returns the name of the package
 */
export function packDeb(place, folder, processor) {
  const { work, out, versions, epoch } = place;
  const name = `nexusd_${versions.debian.replace("~", "-")}_${debianProcessor[processor]}.deb`;
  const root = join(work, `deb-${processor}`);
  layOutFiles(place, root, folder);
  writeControl(place, root, processor);
  run("find", [root, "-exec", "touch", "--no-dereference", `--date=@${epoch}`, "{}", "+"]);
  const same = ["--root-owner-group", "--threads-max=1", "-Zxz", "-z1"];
  run("dpkg-deb", [...same, "--build", root, join(out, name)]);
  return name;
}

function layOutFiles({ source, versions, epoch }, root, folder) {
  const folderOf = (path) => {
    mkdirSync(join(root, path), { recursive: true });
    return join(root, path);
  };
  const home = join(folderOf("usr/lib"), "nexusd");
  cpSync(folder, home, { recursive: true });
  // They have their place, or are of no use to who runs it.
  const node = readFileSync(join(home, "LICENSE.node"));
  for (const name of ["LICENSE", "LICENSE.node", "README.md", "CHANGELOG.md"]) rmSync(join(home, name));
  // Node runs them: what packages mark as programs would ask for a Node of Debian, and native code is none.
  run("find", [
    home,
    "-regex",
    ".*\\.\\(js\\|mjs\\|cjs\\|node\\|bare\\)",
    "-exec",
    "chmod",
    "644",
    "{}",
    "+",
  ]);
  symlinkSync("../lib/nexusd/bin/nexusd", join(folderOf("usr/bin"), "nexusd"));
  writeFileSync(join(folderOf("lib/systemd/system"), "nexusd.service"), unit(source));
  const nexusd = (...args) => run("node", [join(source, "dist/main.js"), ...args]);
  const zip = (words) => gzipSync(words, { level: 9 });
  writeFileSync(
    join(folderOf("usr/share/man/man1"), "nexusd.1.gz"),
    zip(manual(nexusd("--help"), versions, epoch)),
  );
  const completions = [
    ["bash", "bash-completion/completions", "nexusd"],
    ["zsh", "zsh/vendor-completions", "_nexusd"],
    ["fish", "fish/vendor_completions.d", "nexusd.fish"],
  ];
  for (const [shell, path, file] of completions)
    writeFileSync(join(folderOf(`usr/share/${path}`), file), nexusd("completion", shell));
  const documents = folderOf("usr/share/doc/nexusd");
  writeFileSync(join(documents, "copyright"), copyright);
  writeFileSync(join(documents, "LICENSE.node.gz"), zip(node));
  const day = new Date(epoch * 1000).toUTCString().replace("GMT", "+0000");
  const entry = `nexusd (${versions.debian}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the release.\n\n -- ${maintainer}  ${day}\n`;
  writeFileSync(join(documents, "changelog.gz"), zip(entry));
  copyFileSync(
    join(source, "scripts/release/deb/lintian-overrides"),
    join(folderOf("usr/share/lintian/overrides"), "nexusd"),
  );
}

/** The unit of deploy/systemd, for the program and the user that the package brings. */
function unit(source) {
  const text = readFileSync(join(source, "deploy/systemd/nexusd.service"), "utf8");
  const edited = text
    .replace(/^(#.*\n)+/, "# nexusd as a system service. Settings: systemctl edit nexusd\n")
    .replace("ExecStart=/usr/local/bin/nexusd", "ExecStart=/usr/bin/nexusd")
    .replace("DynamicUser=yes", "User=nexusd\nGroup=nexusd");
  if (!edited.includes("/usr/bin/nexusd serve") || !edited.includes("User=nexusd"))
    throw new Error("deploy/systemd/nexusd.service has no ExecStart or no DynamicUser to replace");
  return edited;
}

/** nexusd(1), of what `nexusd --help` prints. */
function manual(help, versions, epoch) {
  const day = new Date(epoch * 1000).toISOString().slice(0, 10);
  const lines = help.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^\./gm, "\\&.");
  return `.TH NEXUSD 1 ${day} "nexusd ${versions.plain}"
.SH NAME
nexusd \\- keeps the OAuth credentials of agents alive
.SH SYNOPSIS
.B nexusd
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
.nf
${lines.trimEnd()}
.fi
.SH FILES
.TP
.I /etc/nexusd/encryption.key
the key that encrypts the store of the system service
.TP
.I /var/lib/nexusd
the store of the system service
`;
}

function writeControl({ source, versions }, root, processor) {
  const control = join(root, "DEBIAN");
  mkdirSync(control);
  for (const name of ["postinst", "prerm", "postrm"]) {
    copyFileSync(join(source, "scripts/release/deb", name), join(control, name));
    chmodSync(join(control, name), 0o755);
  }
  const sums = "find . -type f ! -path './DEBIAN/*' -printf '%P\\0' | sort -z | xargs -0 md5sum";
  writeFileSync(join(control, "md5sums"), run("sh", ["-c", sums], { cwd: root }));
  const sizes = run("find", [root, "-type", "f", "-printf", "%s\n"]).trim().split("\n").map(Number);
  const kilobytes = Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 1024);
  writeFileSync(
    join(control, "control"),
    `Package: nexusd
Version: ${versions.debian}
Architecture: ${debianProcessor[processor]}
Maintainer: ${maintainer}
Installed-Size: ${kilobytes}
Depends: adduser, libatomic1, libc6 (>= 2.28), libgcc-s1, libstdc++6
Recommends: ca-certificates
Section: net
Priority: optional
Homepage: https://github.com/nexusd/nexusd
Description: daemon that keeps the OAuth credentials of agents alive
 A user consents once in a browser; from then on an agent beside the daemon
 always has a current access token. Refresh tokens and client secrets go to
 their provider alone.
 .
 The package holds a Node of its own.
`,
  );
}
