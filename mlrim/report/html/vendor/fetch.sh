#!/usr/bin/env bash
# Fetch the JavaScript libraries of the report from the npm registry into this folder: make vendor.
# SHA256SUMS says which files are expected; a newer version needs new sums (sha256sum *.js *.txt > SHA256SUMS).
set -euo pipefail
MOL=3dmol@2.5.5 PLOTLY=plotly.js-basic-dist-min@4.1.1
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in "$MOL" "$PLOTLY"; do
	npm pack --silent "$package" >/dev/null
done
mkdir mol plotly
tar -xzf 3dmol-*.tgz -C mol --strip-components=1
tar -xzf plotly.js-*.tgz -C plotly --strip-components=1
install -m 644 mol/build/3Dmol-min.js "$here/3Dmol-min.js"
install -m 644 mol/LICENSE "$here/3Dmol.LICENSE.txt"
install -m 644 plotly/plotly-basic.min.js "$here/plotly-basic.min.js"
install -m 644 plotly/LICENSE "$here/plotly.LICENSE.txt"
cd "$here" && sha256sum --check SHA256SUMS
