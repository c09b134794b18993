# The suites: name, seconds at most (what hangs is ended; a busy machine takes up to three times as long as an idle one), cores, tools
# (install_NAME in tools.sh), paths, command.
#
# A suite runs when a changed file begins with one of its paths; `always` is for each change. What runs on
# vitest passes $REPORT on. A seed is fixed for a change, so that a failure is the change's own; --all draws new ones.

seed() { if [ "$mode" = all ]; then echo $((RANDOM * 32768 + RANDOM)); else echo 7; fi; }
for_change_or_all() { if [ "$mode" = all ]; then echo "$2"; else echo "$1"; fi; }

build="package.json package-lock.json scripts/build scripts/bundle tsconfig vitest.config.ts"
wire="proto/nexus src/service src/server/api src/server/grpc src/server/connect src/server/callers src/server/sockets src/server/listen src/server/standard"
fleet="src/ext/fleet src/ext/spoke src/service/forwarding proto/nexus/fleet"
# Helpers of several suites stand in test/suites; a test compares these lists with what the suites import.
building="test/suites/building.ts test/suites/languages.ts"
results="test/suites/results.ts"
programs="test/suites/installed_programs.ts"
refresh="src/oauth src/ext/grants src/domain/grants src/domain/token_endpoint src/domain/connections src/domain/consent src/domain/provisioning src/model/refresh test/refresh_model"

# The supported Node, oldest or newest, that is not the one on the PATH: --all has the bare machine run on it.
case $(node --version) in v20.*) other_node=26 ;; *) other_node=20 ;; esac

suites() {
  export PROPERTY_SEED=$(seed) CHANGED_FILES=${changed:-}
  suite check 600 2 "" "always" "npm run check"
  suite test 1800 2 "terminals openssl" "always" 'npm test -- $REPORT'
  suite model 1200 1 "" "always" "npm run --silent test:model -- --runs $(for_change_or_all 500 3000) --seed $(seed)"
  suite package 600 1 "" "always" "npm run --silent test:package"

  # Two at a time: none of these keeps two cores busy. The longest come first, so that both cores end together; those that build the clients,
  # or let Maven install, stand so far apart that none runs beside another.
  suite removal 2700 1 "" "src/ext src/core test/ext test/removal" 'npx vitest run --project removal $REPORT'
  suite daemon 1800 1 "strace terminals isolation openssl python postgresql" "src test/daemon test/ext/console test/ext/grants test/ext/mcp test/fakes $build" 'npm run test:daemon -- $REPORT'
  suite fleet 1800 1 "postgresql pgbouncer faketime promtool strace" "$fleet src/store src/core src/daemon test/ext/fleet test/ext/spoke $build" \
    'npx vitest run --project fleet $REPORT'
  suite egress 2000 1 egress_clients "src/ext/egress src/strategies test/ext/egress $results $programs" "npm run --silent test:egress"
  suite agentdojo 1800 1 python "src/ext/memory src/ext/policy test/ext/memory/agentdojo $programs" "npm run --silent test:agentdojo -- $(for_change_or_all '--suite banking' '')"
  suite release 3600 1 "release emulator" "scripts deploy Dockerfile package.json package-lock.json .github clients test/release test/clients" "npm run --silent test:release"
  suite foreign 1800 1 foreign_servers "src/oauth src/ext/grants src/outbound src/domain/token_endpoint src/ext/mcp_servers test/foreign $results" "npm run --silent test:foreign"
  suite crash 1800 1 "" "$refresh test/crash" "npm run --silent test:crash -- --kills $(for_change_or_all 100 300)"
  suite walk 1800 1 walk "README.md docs/ src/cli src/ext package.json scripts test/walk" "npm run --silent test:walk"
  suite interop 2400 1 toolchains "examples proto/nexus test/interop src/server/rest test/suites" "npm run --silent test:interop"
  suite deploy 3600 1 "deploy postgresql" "deploy/helm Dockerfile .dockerignore .github/workflows/release test/deploy src/ext/kubernetes/injector src/config scripts/release $build" \
    'as_root env "PATH=$PATH" "PYTHONPATH=$tools_folder/python" "tools_folder=$tools_folder" npm run --silent test:deploy'
  suite upgrade-fleet 600 1 postgresql "src/ext/fleet/database test/ext/fleet/upgrade" "npm run --silent test:fleet -- --upgrade --json"
  suite storm 840 1 postgresql "$fleet test/ext/fleet/storm test/suites/random.ts" "npm run --silent test:fleet -- --hubs 3 --minutes 2 --json"
  suite upgrade 1800 1 "postgresql toolchains" "src/store proto/nexus/store $fleet src/ext/kubernetes/injector src/ext/alerts/outbox src/ext/memory src/ext/policy/record clients/typescript/src clients/python/src clients/go test/upgrade" \
    "npm run --silent test:upgrade"
  suite kubernetes 1800 1 kubernetes "src/ext/kubernetes src/ext/manifest src/ext/identity deploy/helm scripts/release/libraries test/ext/kubernetes test/deploy" "npm run --silent test:kubernetes"
  suite demo-fleet 640 1 postgresql "examples/demo" "npm run --silent demo -- --fleet --auto --json"
  suite adapters 1800 1 adapters "clients/python clients/typescript docs/frameworks examples/frameworks test/adapters $results test/clients" "npm run --silent test:adapters"
  suite fuzz 600 1 "" "src/oauth src/outbound src/model src/store/records src/ext/policy test/fuzz test/suites/random.ts" \
    "npm run --silent fuzz -- --seconds $(for_change_or_all 20 60) --seed $(seed)"
  suite follower 600 1 postgresql "$fleet test/ext/fleet/follower src/ext/egress/listener src/domain/reading/acquire test/daemon/acquiring" \
    "npm run --silent test:follower -- test/ext/fleet/follower/every_rpc.test.ts test/daemon/acquiring.test.ts test/ext/egress/daemon/listener.test.ts"
  suite tools 600 1 "docker kubectl terminals systemd go package_clients strace python" "src/cli src/ext/credential_helpers src/ext/systemd src/strategies test/daemon/tools test/daemon/terminal test/daemon/service deploy/systemd deploy/compose" \
    'npx vitest run --project tools $REPORT'
  suite clients 1800 1 toolchains "clients proto/nexus test/clients test/interop test/suites" "npm run --silent test:clients"
  suite docs 800 1 "" "docs README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md clients/ examples deploy bench/README.md proto/nexus/v1 src/cli src/config" \
    "npm run --silent docs"
  suite mcp 1200 1 "" "src/ext/mcp test/ext/mcp $building $results" "npm run --silent test:mcp"
  suite proxy 600 1 proxies "src/ext/envoy src/gen/envoy examples/envoy examples/nginx examples/caddy test/proxy" "npm run --silent test:proxy"
  suite demo 600 1 "" "examples/demo" "npm run --silent demo -- --auto --json"
  suite outbox 600 1 "" "src/ext/alerts src/store test/ext/alerts/crash test/crash" "npm run --silent test:outbox -- --kills $(for_change_or_all 12 30)"
  suite model-fleet 600 1 "" "$fleet $refresh" "npm run --silent test:model -- --fleet --runs $(for_change_or_all 200 400) --seed $(seed)"
  suite python 600 1 toolchains "clients/python proto/nexus test/clients" "clients/python/check.sh"
  suite conformance 1200 1 go "$wire test/conformance $building $results" "npm run --silent test:conformance"
  suite drivers 600 1 drivers "src/ext/drivers proto/credprovider test/ext/drivers $results $programs" "npm run --silent test:drivers"
  suite walks 600 1 postgresql "src/domain src/service src/server src/ext test/walks" "npm run --silent walks"
  suite observability 600 1 promtool "src/telemetry deploy/observability test/observability" 'npx vitest run --project observability $REPORT'
  suite mcp-conformance 1200 1 "" "src/ext/mcp_servers src/domain/consent src/oauth test/ext/mcp_servers $building $results" "npm run --silent test:mcp-conformance"
  suite sbom 600 1 "" "package-lock.json scripts/sbom" "npm run --silent sbom >/dev/null"
  suite workflows 600 1 workflows ".github" "actionlint && zizmor --offline --no-progress .github"
  suite hadolint 600 1 hadolint "Dockerfile" "hadolint Dockerfile"

  # Both cores: what measures, or keeps them busy.
  suite bench 800 2 h2load "bench src/server/grpc src/service/pipeline" "npm run --silent bench -- --quick --guard"
  suite bench-load 600 2 "" "bench src/domain/grants" "npm run --silent bench -- --quick --only load"
  suite bare 1800 2 "" "$build scripts/bare test/needs.ts test/run.ts" \
    "$(for_change_or_all "scripts/bare.sh test/daemon test/security" "on_node $other_node scripts/bare.sh")"
}
