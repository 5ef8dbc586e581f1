#!/bin/sh
# Fails, and prints them, if sanitizers left reports: reports.sh FOLDER. Not of what Criterion leaks by itself, now and then, in a
# process that ends on a busy machine: all frames are its own.
set -eu
failed=0
for report in "$1"/report.*; do
    [ -e "$report" ] || continue
    if ! grep -q LeakSanitizer "$report" || grep '^ *#' "$report" | grep -qvE 'interceptor_|libcriterion\.so'; then
        cat "$report"
        failed=1
    fi
    rm -f "$report"
done
exit $failed
