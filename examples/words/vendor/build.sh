#!/bin/sh
# Compiles the libraries that the program needs, once for each version of them.
set -eu
cd "$(dirname "$0")"
version=$(cat strmap/VERSION)
if [ -f out/libstrmap.a ] && [ "$(cat out/VERSION)" = "$version" ]; then
    echo "strmap $version is compiled already"
    exit 0
fi
echo "compiling strmap $version"
mkdir -p out
cc -O2 -c -o out/strmap.o strmap/strmap.c
ar rcs out/libstrmap.a out/strmap.o
echo "$version" > out/VERSION
