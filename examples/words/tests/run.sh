#!/bin/sh
# Runs test scripts and writes what became of them as JUnit XML: tests/run.sh REPORT SCRIPT...
set -u
report=$1
shift
failures=0
cases=
output=$(mktemp)
trap 'rm -f "$output"' EXIT

escaped() {
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g'
}

for script in "$@"; do
    name=$(basename "$script" .sh)
    start=$(date +%s%N)
    sh -eu "$script" > "$output" 2>&1
    status=$?
    millis=$((($(date +%s%N) - start) / 1000000))
    seconds=$(printf '%d.%03d' $((millis / 1000)) $((millis % 1000)))
    if [ "$status" -eq 0 ]; then
        echo "ok      $name ($seconds s)"
        body=
    else
        echo "FAILED  $name ($seconds s)"
        cat "$output"
        failures=$((failures + 1))
        body="<failure message=\"exit code $status\">$(escaped < "$output")</failure>"
    fi
    cases="$cases
  <testcase classname=\"words\" name=\"$name\" file=\"$script\" time=\"$seconds\">$body</testcase>"
done

cat > "$report" <<XML
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="words" tests="$#" failures="$failures">$cases
</testsuite>
XML
[ "$failures" -eq 0 ]
