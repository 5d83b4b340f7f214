#!/usr/bin/env bash
# Builds the wheel, installs it with the example project in an empty environment outside the repository, and uses both
# there as somebody else would: `make example` and CI run it.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

echo "== building the wheel"
"$python" -m venv "$folder/build"
"$folder/build/bin/python" -m pip install --quiet --disable-pip-version-check build
"$folder/build/bin/python" -m build --wheel --outdir "$folder/dist" "$repository" >"$folder/build.log" 2>&1 ||
    { cat "$folder/build.log"; exit 1; }

echo "== installing it in an empty environment"
cp -r "$repository/examples/chat-notifier" "$folder/project"
"$python" -m venv "$folder/venv"
bin=$folder/venv/bin
"$bin/python" -m pip install --quiet --disable-pip-version-check "$folder"/dist/*.whl
cd "$folder/project"
# What the package needs comes with it: nothing for tests is installed yet.
"$bin/imp-harness" --version
"$bin/imp-harness" scenario run sip-intracluster-tls --runs "$folder/runs"

echo "== the example's tests"
"$bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[tests]'
"$bin/python" -m pytest -q --junitxml="$folder/junit.xml"
"$bin/python" -m pip install --quiet --disable-pip-version-check pytest-xdist
"$bin/python" -m pytest -q -n 2
