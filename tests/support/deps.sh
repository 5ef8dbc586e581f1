#!/bin/sh
# Installs the Debian packages that a goal needs: deps.sh build|run|check|count|test. As root it does; else it says the one line
# to type. check: every suite but the clients of other languages.
set -eu
build="gcc make pkg-config libcurl4-openssl-dev libcjson-dev libyaml-dev libssl-dev libnghttp2-dev libprotobuf-c-dev
 protobuf-c-compiler protobuf-compiler libuv1-dev libmicrohttpd-dev libxxhash-dev uthash-dev zlib1g-dev"
run="$build python3 python3-grpcio"
check="$run clang libclang-rt-14-dev libcriterion-dev iproute2 util-linux openssl curl ccache python3-yaml"
count="$check valgrind"
test=$check

goal=${1:?build, run, check, count or test}
eval "packages=\$$goal"
if [ "$goal" = test ]; then
    # The conformance clients' own list: a package, and the command or file that makes it unneeded.
    packages="$packages $(sed 's/#.*//' "$(dirname "$0")/../conformance/packages.txt" | while read -r package sign; do
        [ -n "$package" ] || continue
        case $sign in
        /*) [ -e "$sign" ] || echo "$package" ;;
        *) command -v "$sign" >/dev/null 2>&1 || echo "$package" ;;
        esac
    done)"
fi
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "Lookaside needs some Debian packages; install them with:" >&2
    echo "  sudo apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
