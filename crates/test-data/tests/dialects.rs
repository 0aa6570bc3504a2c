//! Reports as tools write them.

use std::time::Duration;

use outrider_test_data::junit::{Problem, Report};
use outrider_test_data::{TestOutcome, TestResult};

fn read(xml: &str) -> Vec<TestResult> {
    let mut report = Report::open(xml.as_bytes()).unwrap();
    let results: Vec<_> = report.by_ref().collect();
    assert_eq!(report.problem(), None);
    results
}

fn cut_off(xml: &str) -> (Vec<TestResult>, Problem) {
    let mut report = Report::open(xml.as_bytes()).unwrap();
    let results: Vec<_> = report.by_ref().collect();
    (results, report.problem().expect("a problem").clone())
}

fn message(result: &TestResult) -> &str {
    result.message.as_deref().unwrap_or_default()
}

#[test]
fn surefire_with_reruns() {
    let results = read(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0" name="com.acme.CartTest" time="1,204.5" tests="4" errors="1" skipped="1" failures="1">
  <properties><property name="java.version" value="21"/></properties>
  <testcase name="adds" classname="com.acme.CartTest" time="1,200.25"/>
  <testcase name="removes" classname="com.acme.CartTest" time="0.5">
    <failure message="expected: &lt;1&gt; but was: &lt;2&gt;" type="org.opentest4j.AssertionFailedError"><![CDATA[org.opentest4j.AssertionFailedError: expected: <1> but was: <2>
	at com.acme.CartTest.removes(CartTest.java:12)
]]></failure>
    <rerunFailure message="again" type="x"><stackTrace>trace</stackTrace><system-out>noise</system-out></rerunFailure>
    <system-out><![CDATA[not a message]]></system-out>
  </testcase>
  <testcase name="pays" classname="com.acme.CartTest" time="3">
    <flakyFailure message="slow network" type="java.net.SocketTimeoutException"><stackTrace>t</stackTrace></flakyFailure>
    <flakyError message="second" type="y"/>
  </testcase>
  <testcase name="ships" classname="com.acme.CartTest"><error type="java.lang.NullPointerException">boom</error></testcase>
  <testcase name="later" classname="com.acme.CartTest" time="0"><skipped message="not yet"/></testcase>
</testsuite>"#,
    );
    let outcomes: Vec<_> = results.iter().map(|result| result.outcome).collect();
    use TestOutcome::{Errored, Failed, Passed, Skipped};
    assert_eq!(outcomes, [Passed, Failed, Passed, Errored, Skipped]);
    assert!(
        results
            .iter()
            .all(|result| result.suite == "com.acme.CartTest")
    );
    assert_eq!(results[0].time, Duration::from_millis(1_200_250));
    assert!(message(&results[1]).starts_with("org.opentest4j.AssertionFailedError: expected: <1>"));
    assert!(message(&results[1]).ends_with("(CartTest.java:12)"));
    assert_eq!(
        results[1].kind.as_deref(),
        Some("org.opentest4j.AssertionFailedError")
    );
    assert_eq!((results[1].reruns, results[1].is_flaky()), (1, false));
    assert_eq!((results[2].reruns, results[2].is_flaky()), (2, true));
    assert_eq!(message(&results[2]), "slow network");
    assert_eq!(message(&results[3]), "boom");
    assert_eq!(message(&results[4]), "not yet");
}

#[test]
fn pytest_in_both_families() {
    let results = read(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3" time="0.045" timestamp="2026-01-02T03:04:05" hostname="h">
<testcase classname="tests.test_cart.TestCart" name="test_add[1-2]" file="tests/test_cart.py" line="3" time="0.001" />
<testcase classname="tests.test_cart" name="test_sum" time="0.002"><failure message="assert 1 == 2&#10; +  where 1 = f()">def test_sum():
&gt;       assert f() == 2
E       assert 1 == 2

tests/test_cart.py:9: AssertionError</failure></testcase>
<testcase classname="tests.test_cart" name="test_later" time="0.000"><skipped type="pytest.skip" message="later">tests/test_cart.py:12: later</skipped></testcase>
</testsuite></testsuites>"#,
    );
    assert_eq!(results[0].file.as_deref(), Some("tests/test_cart.py"));
    assert_eq!(results[0].name, "test_add[1-2]");
    assert_eq!(results[1].file, None);
    assert!(message(&results[1]).starts_with("assert 1 == 2\n +  where 1 = f()\ndef test_sum"));
    assert!(message(&results[1]).contains("\n>       assert f() == 2"));
    assert_eq!(results[2].kind.as_deref(), Some("pytest.skip"));
}

#[test]
fn nextest_gotestsum_and_googletest() {
    let results = read(
        r#"<testsuites name="nextest-run" tests="2" failures="1" errors="0" uuid="u" time="0.2">
    <testsuite name="shop::it" tests="2" disabled="0" errors="0" failures="1">
        <testcase name="cart::adds" classname="shop::it" timestamp="2026-01-02T03:04:05" time="0.120">
            <flakyFailure timestamp="t" time="0.1" message="thread panicked" type="test failure with exit code 101">at src/cart.rs<system-out>o</system-out></flakyFailure>
        </testcase>
        <testcase name="cart::fails" classname="shop::it" time="0.08">
            <failure type="test failure with exit code 101">thread 'cart::fails' panicked</failure>
            <rerunFailure type="r">again</rerunFailure>
        </testcase>
    </testsuite>
    <testsuite tests="1" failures="1" time="0.003" name="example.com/cart">
        <properties><property name="go.version" value="go1.24"></property></properties>
        <testcase classname="example.com/cart" name="TestAdd/big" time="0.000000">
            <failure message="Failed" type="">=== RUN   TestAdd/big&#xA;    cart_test.go:9: no&#xA;--- FAIL</failure>
        </testcase>
    </testsuite>
    <testsuite name="G"><testcase name="N" status="notrun" result="suppressed" time="0." classname="G" /></testsuite>
</testsuites>"#,
    );
    assert!(
        results[0].is_flaky() && message(&results[0]).contains("thread panicked\nat src/cart.rs")
    );
    assert_eq!(
        (results[1].outcome, results[1].reruns),
        (TestOutcome::Failed, 1)
    );
    assert_eq!(
        message(&results[2]),
        "Failed\n=== RUN   TestAdd/big\n    cart_test.go:9: no\n--- FAIL"
    );
    assert_eq!(results[2].kind, None);
    assert_eq!(results[3].outcome, TestOutcome::Skipped);
}

#[test]
fn suites_in_suites_hand_down_what_inner_ones_do_not_say() {
    let results = read(
        r#"<testsuites>
  <testsuite name="phpunit.xml" tests="2">
    <testsuite name="CartTest" file="/src/tests/CartTest.php">
      <testcase name="testAdd" class="CartTest" classname="CartTest" file="/src/tests/CartTest.php" line="9" time="0.01"/>
      <testsuite name="CartTest::testSum" tests="1"><testcase name="testSum with data set &quot;a&quot;" classname="CartTest" time="0.01"/></testsuite>
    </testsuite>
    <testcase name="loose" time="0.01"/>
  </testsuite>
  <testsuite name="mocha tests"><testcase name="Cart adds" classname="adds" time="0.004"/></testsuite>
  <testsuite name="src/cart.test.ts" file="src/cart.test.ts"><testcase classname=" adds" name=" adds" time="0.004"><failure>a</failure><failure>b</failure></testcase></testsuite>
</testsuites>"#,
    );
    let facts: Vec<_> = results
        .iter()
        .map(|result| (result.suite.as_str(), result.file.as_deref()))
        .collect();
    assert_eq!(
        facts,
        [
            ("CartTest", Some("/src/tests/CartTest.php")),
            ("CartTest::testSum", Some("/src/tests/CartTest.php")),
            ("phpunit.xml", None),
            ("mocha tests", None),
            ("src/cart.test.ts", Some("src/cart.test.ts")),
        ]
    );
    assert_eq!(results[1].name, "testSum with data set \"a\"");
    assert_eq!(message(&results[4]), "a");
}

#[test]
fn of_a_report_that_is_cut_off_counts_what_was_there() {
    let whole = "<testsuites>\n<testsuite name='s'>\n<testcase name='a'/>\n<testcase name='b'>\
                 <failure>x</failure></testcase>\n</testsuite>\n</testsuites>\n";
    assert_eq!(read(whole).len(), 2);
    let first = whole.find("'a'/>").unwrap() + 5;
    let second = whole.find("</testcase>").unwrap() + 11;
    let end = whole.trim_end().len();
    for cut in 12..end {
        let (results, problem) = cut_off(&whole[..cut]);
        let expected = usize::from(cut >= first) + usize::from(cut >= second);
        assert_eq!(results.len(), expected, "cut at {cut}");
        let Problem::Broken { line, after, .. } = problem else {
            panic!("cut at {cut}: {problem:?}");
        };
        let lines = whole[..cut].matches('\n').count() as u64;
        assert_eq!(line, lines + 1, "cut at {cut}");
        assert_eq!(after.is_some(), expected > 0);
    }
    let (results, problem) = cut_off("<testsuite>\n<testcase name='a'/>\n</testcase>");
    assert_eq!(results.len(), 1);
    assert!(problem.to_string().contains("line 3"), "{problem}");
}

#[test]
fn other_files_are_known_as_such() {
    for (xml, root) in [
        ("<project><target/></project>", Some("project")),
        (
            "<!DOCTYPE html><html><testcase name='a'/></html>",
            Some("html"),
        ),
        ("", None),
        ("{\"json\": true}", None),
        ("\0\u{1}\u{2}<", None),
    ] {
        let (results, problem) = cut_off(xml);
        assert_eq!(results, []);
        let root = root.map(str::to_owned);
        assert_eq!(problem, Problem::NotJunit { root }, "{xml:?}");
    }
}

#[test]
fn entities_are_never_expanded_nor_fetched() {
    let place = tempfile::tempdir().unwrap();
    let secret = place.path().join("secret");
    std::fs::write(&secret, "squeamish").unwrap();
    let laughs: String = (1..20)
        .map(|level| {
            format!(
                "<!ENTITY l{level} \"{}\">",
                format!("&l{};", level - 1).repeat(10)
            )
        })
        .collect();
    let xml = format!(
        "<!DOCTYPE s [<!ENTITY l0 'ha'>{laughs}<!ENTITY f SYSTEM 'file://{}'>]>\
         <testsuite><testcase name='&l19;&f;'><failure message='&f;'>&l19; &f; &amp;</failure>\
         </testcase></testsuite>",
        secret.display()
    );
    let results = read(&xml);
    assert_eq!(results[0].name, "&l19;&f;");
    assert_eq!(message(&results[0]), "&l19; &f; &");
}

#[test]
fn long_texts_and_deep_nesting_are_bounded() {
    let long = "ä".repeat(1_000_000);
    let xml = format!(
        "<testsuite><testcase name='{long}' time='1'><failure type='{long}' \
         message='{long}'>{long}</failure><system-out><![CDATA[{long}]]></system-out></testcase>\
         <testcase name='next'/></testsuite>"
    );
    // Each attribute alone is longer than a tag may be.
    let (results, problem) = cut_off(&xml);
    assert!(
        results.is_empty() && problem.to_string().contains("longer than 1 MiB"),
        "{problem}"
    );
    let long = "ä".repeat(100_000);
    let results = read(&format!(
        "<testsuite><testcase name='{long}'><failure message='{long}'>{long}</failure>\
         <system-out><![CDATA[{}]]></system-out></testcase><testcase name='next'/></testsuite>",
        long.repeat(20)
    ));
    assert_eq!(results.len(), 2);
    assert_eq!(
        (results[0].name.len(), message(&results[0]).len()),
        (4_096, 16_384)
    );
    let (_, problem) = cut_off(&"<testsuite>".repeat(1_000));
    assert!(
        problem.to_string().contains("nested more than 100 deep"),
        "{problem}"
    );
}
