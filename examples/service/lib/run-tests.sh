# Runs tests and writes how they went as JUnit XML. Fails if one of them does.
# usage: sh lib/run-tests.sh REPORT TEST...
report=$1
shift
failed=0
cases=
for test in "$@"; do
    start=$(date +%s)
    if sh "$test"; then
        echo "ok $test"
        problem=
    else
        echo "failed $test"
        problem='<failure message="it failed"/>'
        failed=$((failed + 1))
    fi
    time=$(($(date +%s) - start))
    cases="$cases<testcase classname=\"shop\" name=\"$test\" file=\"$test\" time=\"$time\">$problem</testcase>"
done
echo "<testsuite name=\"shop\" tests=\"$#\" failures=\"$failed\">$cases</testsuite>" > "$report"
[ "$failed" = 0 ]
