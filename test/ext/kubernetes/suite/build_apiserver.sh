#!/usr/bin/env bash
# Builds a real kube-apiserver from its Go modules: build_apiserver.sh FOLDER. A first build takes a quarter of an hour on two cores; the cache of Go keeps later ones short.
# `go install` refuses k8s.io/kubernetes, whose go.mod replaces its staging modules by folders: here each of them is its published version.
set -euo pipefail
version=${KUBE_VERSION:-1.36.3}
mkdir -p "$1/cmd/apiserver" && cd "$1"
go mod download -json "k8s.io/kubernetes@v$version" >download.json
node - "$version" <<'JS'
const { readFileSync, writeFileSync } = require("node:fs");
const version = process.argv[2];
const text = readFileSync(`${JSON.parse(readFileSync("download.json", "utf8")).Dir}/go.mod`, "utf8");
const staged = [...text.matchAll(/(k8s\.io\/[\w.-]+) (?:v[\d.]+ )?=> \.\/staging\/src\/\S+/g)].map(([, name]) => name);
const unversioned = [...text.matchAll(/^\s*(k8s\.io\/[\w.-]+) v0\.0\.0$/gm)].map(([, name]) => name);
const replaced = (staged.length > 0 ? staged : unversioned).map((name) => `  ${name} => ${name} v0.${version.slice(2)}`);
writeFileSync(
  "go.mod",
  `module apiserver\ngo ${text.match(/^go (\S+)/m)[1]}\nrequire k8s.io/kubernetes v${version}\nreplace (\n${replaced.join("\n")}\n)\n`,
);
JS
cat >cmd/apiserver/main.go <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
GO
go mod tidy
# What it answers at /version, by which helm judges whether a chart fits.
minor=${version#1.}
named="-X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
go build -ldflags="-s -w $named" -o kube-apiserver ./cmd/apiserver
