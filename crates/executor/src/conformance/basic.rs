//! Scripts that end by themselves.

use std::path::Path;

use outrider_model::report::Exit;

use super::{Recorder, Subject};
use crate::{Environment, Fault, Verdict};

async fn assert_output(
    subject: &Subject,
    environment: &dyn Environment,
    [shell, fake]: [&str; 2],
    expected: &[u8],
) {
    let (result, output) = subject.exec(environment, shell, fake).await;
    assert_eq!(result.exit, Exit::Code(0), "{}", output.escape_ascii());
    assert_eq!(
        output.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

/// The code that a script ends with is reported, whatever it is.
pub async fn exit_codes(subject: Subject) {
    let environment = subject.prepare().await;
    for code in [0, 1, 2, 126, 127, 255] {
        let script = format!("exit {code}");
        let (result, output) = subject.exec(&*environment, &script, &script).await;
        assert_eq!((result.exit, output.len()), (Exit::Code(code), 0));
    }
    let failing = subject
        .exec(&*environment, "false | cat\necho missed", "exit 1")
        .await;
    assert_eq!(
        (failing.0.exit, failing.1.len()),
        (Exit::Code(1), 0),
        "the shell's options count"
    );
    environment.cleanup().await.expect("cleanup");
}

/// A signal is not mistaken for a code.
pub async fn signals(subject: Subject) {
    let environment = subject.prepare().await;
    for signal in [9, 15, 6] {
        let (shell, fake) = (format!("kill -{signal} $$"), format!("signal {signal}"));
        let (result, _) = subject.exec(&*environment, &shell, &fake).await;
        assert_eq!(result.exit, Exit::Signal(signal));
    }
    environment.cleanup().await.expect("cleanup");
}

/// A script sees the variables that were asked for, the directory that was asked for, which is
/// made for it, and an empty stdin.
pub async fn environment_and_working_directory(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "printf '%s\\n' \"$GREETING\" \"${HOME-unset}\"; pwd; cat";
    let fake = "env GREETING\nprint unset\npwd";
    let mut request = subject.request(&*environment, subject.script(shell, fake));
    request.environment.insert(
        "GREETING".to_owned(),
        "two\nlines, a = and a ' ü".to_owned(),
    );
    request.working_directory = environment.resolve("deep/er");
    let expected = format!(
        "two\nlines, a = and a ' ü\nunset\n{}\n",
        environment.resolve("deep/er").display()
    );
    let output = Recorder::new();
    let result = environment
        .exec(request, output.clone())
        .await
        .expect("exec");
    assert_eq!(result.exit, Exit::Code(0));
    assert_eq!(String::from_utf8_lossy(&output.bytes()), expected);
    environment.cleanup().await.expect("cleanup");
}

/// A script may be longer than an argument may be (128 KiB on Linux).
pub async fn long_script(subject: Subject) {
    let environment = subject.prepare().await;
    let comments = format!("# {}\n", "x".repeat(1000)).repeat(1000);
    let shell = format!("{comments}echo end");
    let fake = format!("{comments}print end");
    assert_output(&subject, &*environment, [&shell, &fake], b"end\n").await;
    environment.cleanup().await.expect("cleanup");
}

/// What goes to stdout and to stderr arrives in the order in which it was written.
pub async fn order_of_output(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "for i in {1..200}; do echo out $i; echo err $i >&2; done";
    let lines: Vec<_> = (1..=200)
        .flat_map(|i| [format!("out {i}"), format!("err {i}")])
        .collect();
    let fake: String = lines.iter().map(|line| format!("print {line}\n")).collect();
    let expected = lines.join("\n") + "\n";
    assert_output(&subject, &*environment, [shell, &fake], expected.as_bytes()).await;
    environment.cleanup().await.expect("cleanup");
}

/// Ten million bytes arrive, each of them.
pub async fn ten_megabytes(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "set +o pipefail; yes abcdefghijklmnopqrstuvwxyz | tr -d '\\n' | head -c 10000000";
    let (result, output) = subject.exec(&*environment, shell, "bytes 10000000").await;
    assert_eq!((result.exit, output.len()), (Exit::Code(0), 10_000_000));
    let wrong = output
        .iter()
        .zip((b'a'..=b'z').cycle())
        .position(|(&is, should)| is != should);
    assert_eq!(wrong, None, "the first byte that differs");
    environment.cleanup().await.expect("cleanup");
}

/// A last line without an end arrives as it is.
pub async fn no_newline_at_the_end(subject: Subject) {
    let environment = subject.prepare().await;
    let scripts = ["printf 'one\\ntwo'", "print one\nwrite two"];
    assert_output(&subject, &*environment, scripts, b"one\ntwo").await;
    environment.cleanup().await.expect("cleanup");
}

/// Bytes that are no text arrive as they are.
pub async fn binary_output(subject: Subject) {
    let environment = subject.prepare().await;
    let scripts = [
        "printf '\\0\\377\\376\\r\\n\\200\\033['",
        "hex 00fffe0d0a801b5b",
    ];
    assert_output(&subject, &*environment, scripts, b"\0\xff\xfe\r\n\x80\x1b[").await;
    environment.cleanup().await.expect("cleanup");
}

/// A script that writes nothing, and one that is empty.
pub async fn no_output(subject: Subject) {
    let environment = subject.prepare().await;
    assert_output(&subject, &*environment, ["true", "# nothing"], b"").await;
    assert_output(&subject, &*environment, ["", ""], b"").await;
    environment.cleanup().await.expect("cleanup");
}

/// A script runs while another one does, as background steps do, each with its own output.
pub async fn two_scripts_at_once(subject: Subject) {
    let environment = subject.prepare().await;
    let script = subject.script("echo first\nexec sleep 1000", "print first\nhang");
    let request = subject.request(&*environment, script);
    let (first, background) = subject.start(&environment, request);
    first.wait_for("first\n").await;
    assert_output(
        &subject,
        &*environment,
        ["echo second", "print second"],
        b"second\n",
    )
    .await;
    assert!(!background.is_finished());
    environment.stop(super::DEADLINE).await.expect("stop");
    let result = background.await.expect("no panic").expect("exec");
    assert_eq!(
        (result.exit, first.bytes()),
        (Exit::Signal(15), b"first\n".to_vec())
    );
    environment.cleanup().await.expect("cleanup");
}

/// A shell that does not exist or is no program is the user's mistake, and is named.
pub async fn bad_shell(subject: Subject) {
    let environment = subject.prepare().await;
    for shell in ["/no/such/shell", "no-such-shell", "/etc/passwd", "/"] {
        let mut request = subject.request(&*environment, "true".to_owned());
        request.shell = vec![shell.to_owned(), "-e".to_owned()];
        let error = environment
            .exec(request, Recorder::new())
            .await
            .expect_err("no shell");
        assert_eq!(error.fault, Fault::User, "{error}");
        assert!(
            error.message.contains(shell) && error.source.is_some(),
            "{error:?}"
        );
    }
    let after = ["echo fine", ""];
    assert_output(&subject, &*environment, after, b"fine\n").await;
    environment.cleanup().await.expect("cleanup");
}

/// Where the executor says what a script used, its children are counted.
pub async fn usage_is_measured(subject: Subject) {
    let environment = subject.prepare().await;
    let shell = "bash -c 'x=; for i in {1..60000}; do x+=0123456789; done; echo ${#x}'";
    let (result, output) = subject.exec(&*environment, shell, "print 600000").await;
    assert_eq!(
        (result.exit, &output[..]),
        (Exit::Code(0), &b"600000\n"[..])
    );
    if let Some(usage) = result.usage {
        assert!(
            usage.peak_rss_bytes > 1 << 20 && usage.peak_rss_bytes < 1 << 40,
            "{usage:?}"
        );
        assert!(
            !usage.cpu.is_zero() && usage.cpu < super::DEADLINE,
            "{usage:?}"
        );
    }
    environment.cleanup().await.expect("cleanup");
}

/// Paths of the config mean the same for every executor.
pub async fn paths(subject: Subject) {
    let environment = subject.prepare().await;
    let home = environment.resolve("~");
    assert!(home.is_absolute());
    for (path, expected) in [
        ("~/project", home.join("project")),
        (".", home.join("project")),
        ("a/b", home.join("project/a/b")),
        ("~/a", home.join("a")),
        ("/etc", Path::new("/etc").to_owned()),
    ] {
        assert_eq!(environment.resolve(path), expected, "{path}");
    }
    environment.cleanup().await.expect("cleanup");
}

/// On a host where this suite passes, nothing is missing; what is not good has advice.
pub async fn host_is_checked(subject: Subject) {
    let findings = subject.executor.check().await;
    assert!(!findings.is_empty());
    for finding in findings {
        assert_ne!(finding.verdict, Verdict::Missing, "{finding:?}");
        assert_eq!(
            finding.advice.is_some(),
            finding.verdict != Verdict::Good,
            "{finding:?}"
        );
    }
}
