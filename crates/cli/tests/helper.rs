//! The commands of `circleci` and `circleci-agent` inside jobs.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use support::{Home, Ran};

/// The helper as a step calls it, in the folder `project`.
fn called_as<S: AsRef<OsStr>>(home: &Home, name: &str, arguments: &[S]) -> Command {
    let link = home.path(name);
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_outrider"), &link).unwrap();
    }
    let clean = home.command::<&str>(&[]);
    let mut command = Command::new(link);
    command
        .env_clear()
        .current_dir(home.path("project"))
        .stdin(Stdio::null());
    let set = clean
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command.envs(set).args(arguments);
    command
}

fn helper(home: &Home, arguments: &[&str]) -> Command {
    called_as(home, "circleci", arguments)
}

fn run(home: &Home, arguments: &[&str]) -> Ran {
    Ran::of(&mut helper(home, arguments))
}

/// Runs it with this on its stdin.
fn output(command: &mut Command, input: impl AsRef<[u8]>) -> Output {
    let input = input.as_ref().to_vec();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whether it reads it is its own matter.
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

fn fed(home: &Home, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
    Ran::from(output(&mut helper(home, arguments), input))
}

fn lines(ran: &Ran) -> Vec<&str> {
    ran.out.lines().collect()
}

#[test]
fn it_goes_by_all_its_names() {
    let home = Home::new();
    for name in ["circleci", "circleci-agent"] {
        for version in [&["version"][..], &["--version"], &["--version", "--short"]] {
            let ran = Ran::of(&mut called_as(&home, name, version)).good();
            assert_eq!(ran.out, concat!(env!("CARGO_PKG_VERSION"), "+outrider\n"));
        }
        let help = Ran::of(&mut called_as(&home, name, &["--help"])).good();
        assert!(
            help.out.contains("tests") && help.out.contains("step"),
            "{}",
            help.out
        );
    }
    let ran = home.run(&["helper", "tests", "split", "--help"]).good();
    assert!(
        ran.out.contains("--split-by") && ran.out.contains("--timings-type"),
        "{}",
        ran.out
    );
    let unknown = run(&home, &["orb", "list"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let services = run(&home, &["run", "oidc", "get", "--claims", "{}"]);
    services.failed(1, &["`run oidc` is not supported yet"]);
}

#[test]
fn what_it_does_not_know_goes_to_the_next_of_its_name() {
    let home = Home::new();
    let other = home.write("other/circleci", "#!/bin/sh\necho \"other: $@\"\n");
    std::fs::set_permissions(&other, Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}:/bin",
        home.path("").display(),
        home.path("other").display()
    );
    let mut command = helper(&home, &["config", "validate", "a b"]);
    let ran = Ran::of(command.env("PATH", &path)).good();
    assert_eq!(ran.out, "other: config validate a b\n");
    let ran = Ran::of(helper(&home, &["version"]).env("PATH", path)).good();
    assert!(ran.out.ends_with("+outrider\n"));
}

#[test]
fn glob_finds_what_patterns_match() {
    let home = Home::new();
    for file in [
        "spec/a_spec.rb",
        "spec/b/c_spec.rb",
        "spec/b/d/e_spec.rb",
        "spec/b/helper.rb",
        "spec/.hidden_spec.rb",
        "src/x.js",
        "src/y.ts",
        "src/ä.ts",
        "src/[z].ts",
        "!odd/1.py",
        "top.py",
    ] {
        home.write(&format!("project/{file}"), "");
    }
    symlink("..", home.path("project/spec/b/round")).unwrap();
    let glob = |patterns: &[&str]| {
        let ran = run(&home, &[&["tests", "glob"], patterns].concat()).good();
        assert_eq!(ran.err, "");
        lines(&ran)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let cases: [(&[&str], &[&str]); 16] = [
        (
            &["spec/*_spec.rb"],
            &["spec/.hidden_spec.rb", "spec/a_spec.rb"],
        ),
        (
            &["spec/**/*_spec.rb"],
            &[
                "spec/.hidden_spec.rb",
                "spec/a_spec.rb",
                "spec/b/c_spec.rb",
                "spec/b/d/e_spec.rb",
            ],
        ),
        (&["**/d/**"], &["spec/b/d/e_spec.rb"]),
        (&["./spec/?/[a-c]*.rb"], &["./spec/b/c_spec.rb"]),
        (&["spec/?/[!a-c]*.rb"], &["spec/b/helper.rb"]),
        (
            &["src/*.{js,ts}"],
            &["src/[z].ts", "src/x.js", "src/y.ts", "src/ä.ts"],
        ),
        (&["src/?.ts"], &["src/y.ts"]),
        (&["src/\\[z\\].ts"], &["src/[z].ts"]),
        (&["{spec/b,src}/[cx]*"], &["spec/b/c_spec.rb", "src/x.js"]),
        (&["!odd/*", "!*/1.py"], &["!odd/1.py"]),
        (
            &["spec/*"],
            &["spec/.hidden_spec.rb", "spec/a_spec.rb", "spec/b"],
        ),
        (&["spec/b/round/a*"], &["spec/b/round/a_spec.rb"]),
        (&["top.py", "*.py", "top.py"], &["top.py"]),
        (&["src/y.ts", "src/x.js"], &["src/y.ts", "src/x.js"]),
        (&["no/*.rb", "no.rb", "top.py/*"], &[]),
        (&["**/**/e_*"], &["spec/b/d/e_spec.rb"]),
    ];
    for (patterns, expected) in cases {
        assert_eq!(glob(patterns), expected, "{patterns:?}");
    }
    let absolute = home.path("project/src/x.*");
    let found = glob(&[absolute.to_str().unwrap()]);
    assert_eq!(found, [home.path("project/src/x.js").to_str().unwrap()]);
    run(&home, &["tests", "glob", "a/[b"]).failed(1, &["a/[b", "unclosed"]);
    assert_eq!(run(&home, &["tests", "glob"]).code, Some(2));
}

#[test]
fn names_that_are_no_text_pass_through() {
    let home = Home::new();
    let name = OsString::from_vec(b"t\xff.rb".to_vec());
    std::fs::write(home.path("project").join(&name), "").unwrap();
    let found = output(&mut helper(&home, &["tests", "glob", "t*.rb"]), "").stdout;
    assert_eq!(found, b"t\xff.rb\n");
    let share = output(
        &mut helper(&home, &["tests", "split", "--split-by=filesize"]),
        &found,
    );
    assert_eq!(share.stdout, b"t\xff.rb\n");
    let mut pattern = OsString::from("[");
    pattern.push(OsString::from_vec(b"\xfft]*.rb".to_vec()));
    let arguments = [OsString::from("tests"), "glob".into(), pattern];
    let found = output(&mut called_as(&home, "circleci", &arguments), "").stdout;
    assert_eq!(found, b"t\xff.rb\n");
}

/// The shares of all tasks, which together are the input.
fn shares(home: &Home, total: usize, arguments: &[&str], names: &[String]) -> Vec<Vec<String>> {
    let shares: Vec<Vec<String>> = (0..total)
        .map(|index| {
            let mut command = helper(home, &[&["tests", "split"], arguments].concat());
            command.env("CIRCLE_NODE_INDEX", index.to_string());
            command.env("CIRCLE_NODE_TOTAL", total.to_string());
            let ran = Ran::from(output(&mut command, names.join("\n"))).good();
            ran.out.lines().map(str::to_owned).collect()
        })
        .collect();
    let mut all = shares.concat();
    let mut names = names.to_vec();
    all.sort();
    names.sort();
    assert_eq!(all, names, "{total} tasks, {arguments:?}");
    shares
}

#[test]
fn split_gives_every_name_to_one_task() {
    let home = Home::new();
    let names: Vec<String> = (0..57)
        .rev()
        .map(|n| format!("spec/t{n}_spec.rb"))
        .collect();
    for name in &names[..40] {
        home.write(&format!("project/{name}"), vec![b'x'; name.len() * 100]);
    }
    let timings: String = (0..30)
        .map(|n| {
            let seconds = (n * 7 % 13) as f64 + 0.5;
            format!(
                "{{\"name\":\"t\",\"file\":\"./spec/t{n}_spec.rb\",\"outcome\":\"passed\",\
                 \"seconds\":{seconds}}}\n"
            )
        })
        .collect();
    let file = home.write("timings.jsonl", timings);
    let file = format!("--timings-file={}", file.display());
    let ways: [&[&str]; 6] = [
        &[],
        &["--split-by=name"],
        &["--split-by", "filesize"],
        &["--split-by=timings", &file],
        &[
            "--split-by=timings",
            "--timings-type=filename",
            "--time-default=10s",
            &file,
        ],
        &["--split-by=timings"],
    ];
    for total in [1, 2, 7, 60] {
        for way in ways {
            shares(&home, total, way, &names);
        }
    }
    let both = ["tests", "split", "--index=1", "--total=2"];
    let given = ["--index", "1", "--total", "2"];
    let one = fed(&home, &both, "c\nb\na\nd").good();
    assert_eq!(one.out, "b\nd\n");
    let file = home.write("names", "c\r\n\r\nb\r\n\na\r\n  \nd\r\n");
    let named = [&["tests", "split"], &given[..], &[file.to_str().unwrap()]].concat();
    assert_eq!(run(&home, &named).good().out, one.out);
    assert_eq!(fed(&home, &["tests", "split"], "").good().out, "");
}

#[test]
fn wrong_shares_are_refused() {
    let home = Home::new();
    for wrong in [["--index=4", "--total=4"], ["--index=0", "--total=0"]] {
        let arguments = [&["tests", "split"], &wrong[..]].concat();
        fed(&home, &arguments, "a").failed(1, &["there is no task", "counted from 0"]);
    }
    let ran = fed(&home, &["tests", "split", "--split-by=luck"], "a");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    run(&home, &["tests", "split", "/no/such/file"]).failed(66, &["/no/such/file"]);
    let broken = home.write("broken.json", "{\"tests\": 1}");
    let file = format!("--timings-file={}", broken.display());
    fed(&home, &["tests", "split", "--split-by=timings", &file], "a").failed(66, &["broken.json"]);
}

#[test]
fn timings_balance_the_tasks_whatever_the_type() {
    let home = Home::new();
    let test = |class: &str, name: &str, seconds: u32| {
        format!(
            "{{\"classname\":\"{class}\",\"name\":\"{name}\",\"file\":\"./{class}.rb\",\
             \"run_time\":{seconds},\"result\":\"success\",\"message\":null,\"source\":\"x\"}}"
        )
    };
    let times = [("a", 3), ("b", 3), ("c", 2), ("d", 2), ("e", 2)];
    let tests: Vec<_> = times
        .iter()
        .map(|(name, time)| test(name, &format!("t{name}"), *time))
        .collect();
    let file = home.write(
        "timings.json",
        format!("{{\"tests\":[{}]}}", tests.join(",")),
    );
    let file = format!("--timings-file={}", file.display());
    let cases: [(&str, &[&str]); 3] = [
        ("{}.rb", &["file", "filename", "autodetect"]),
        ("{}", &["class", "classname", "autodetect"]),
        ("t{}", &["name", "testname", "autodetect"]),
    ];
    for (form, types) in cases {
        let names: Vec<String> = times
            .iter()
            .map(|(name, _)| form.replace("{}", name))
            .collect();
        let time: BTreeMap<&str, u32> = names
            .iter()
            .map(String::as_str)
            .zip(times.iter().map(|(_, time)| *time))
            .collect();
        for kind in types {
            let kind = format!("--timings-type={kind}");
            let shares = shares(&home, 2, &["--split-by=timings", &kind, &file], &names);
            let load = |share: &Vec<String>| share.iter().map(|name| time[&**name]).sum::<u32>();
            assert_eq!(
                shares.iter().map(load).collect::<Vec<_>>(),
                [6, 6],
                "{shares:?}"
            );
        }
    }
    let by_name = fed(&home, &["tests", "split"], "y\nx").good();
    let unknown = fed(
        &home,
        &["tests", "split", "--split-by=timings", &file],
        "y\nx",
    )
    .good();
    assert_eq!(unknown.out, by_name.out);
    let said = "Error auto-detecting timing type, falling back to weighting by name.\n";
    assert_eq!(unknown.err, said);
    let counts = [
        "tests",
        "split",
        "--split-by=timings",
        "--show-counts",
        "--total=2",
        &file,
    ];
    let ran = fed(&home, &counts, "a.rb\nb.rb\nc.rb\nd.rb\ne.rb\n").good();
    assert!(
        ran.err
            .contains("of 5 names, about 6.0 s; the longest task has about 6.0 s"),
        "{}",
        ran.err
    );
}

#[test]
fn timings_of_the_runner_are_found_wherever_the_step_runs() {
    let home = Home::new();
    let line = |file: &str, seconds: u32| {
        format!(
            "{{\"name\":\"t\",\"file\":\"{file}\",\"outcome\":\"passed\",\"seconds\":{seconds}}}\n"
        )
    };
    let timings = line("web/a.js", 9) + &line("web/b.js", 1) + &line("web/c.js", 1);
    home.write("data/circle-test-results/timings.jsonl.zst", timings);
    home.write("project/web/a.js", "");
    let split = |index: &str, names: &str| {
        let mut command = helper(
            &home,
            &["tests", "split", "--split-by=timings", "--total=2"],
        );
        command
            .args(["--index", index])
            .current_dir(home.path("project/web"))
            .env("CIRCLE_WORKING_DIRECTORY", home.path("project"))
            .env("CIRCLE_INTERNAL_TASK_DATA", home.path("data"));
        Ran::from(output(&mut command, names))
    };
    assert_eq!(split("0", "c.js\nb.js\na.js").good().out, "a.js\n");
    let full = home.path("project/web/a.js").display().to_string();
    assert_eq!(
        split("0", &format!("{full}\nb.js\nc.js")).good().out,
        format!("{full}\n")
    );
    home.write(
        "data/circle-test-results/timings.jsonl.zst",
        "\x28\u{fffd}damaged",
    );
    // The other tasks may be able to read them, and would split otherwise.
    split("0", "b\na").failed(1, &["cannot read timings", "The other tasks of this job"]);
}

#[test]
fn run_gives_the_share_to_a_command() {
    let home = Home::new();
    let run = |more: &[&str], command: &str| {
        let command = format!("--command={command}");
        let arguments = [&["tests", "run", &command, "--total=2"], more].concat();
        fed(&home, &arguments, "d\nc\nb\na\n")
    };
    assert_eq!(
        run(&["--index=0"], "xargs echo run").good().out,
        "run c a\n"
    );
    assert_eq!(
        run(&["--index=1", "--verbose"], "sort -r").good().out,
        "d\nb\n"
    );
    assert_eq!(run(&[], "cat >/dev/null; exit 7").code, Some(7));
    assert_eq!(run(&[], "kill -9 $$").code, Some(137));
    // A command that does not read is not a failure of its own.
    assert_eq!(run(&[], "true").code, Some(0));
    let empty = fed(&home, &["tests", "run", "--command=exit 7"], "\n\n").good();
    assert!(empty.err.contains("no tests to run"), "{}", empty.err);
    assert_eq!(fed(&home, &["tests", "run"], "a").code, Some(2));
}

#[test]
fn nobody_has_to_read_it_to_the_end() {
    let home = Home::new();
    let names: String = (0..200_000)
        .map(|n| format!("a/long/name/of/a/test_{n}\n"))
        .collect();
    let names = home.write("names", names);
    let script = format!(
        "set -o pipefail; '{}' tests split '{}' | head -1",
        home.path("circleci").display(),
        names.display()
    );
    helper(&home, &[]);
    let ran = Ran::of(Command::new("/bin/bash").args(["-c", &script])).good();
    assert_eq!((&*ran.err, lines(&ran).len()), ("", 1));
}

#[test]
fn halt_leaves_word_for_the_runner() {
    let home = Home::new();
    let data: PathBuf = home.path("data/of/task");
    for words in [["step", "halt"], ["task", "halt"]] {
        let mut command = helper(&home, &words);
        Ran::of(command.env("CIRCLE_INTERNAL_TASK_DATA", &data)).good();
        assert!(data.join("halt").exists());
        let mode = data.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    run(&home, &["step", "halt"]).failed(1, &["no job to halt", "CIRCLE_INTERNAL_TASK_DATA"]);
}

#[test]
fn env_subst_fills_in_variables() {
    let home = Home::new();
    let mut command = helper(
        &home,
        &["env", "subst", "hello $WHO, ${WHO:-x}${NO:-y}${NO}"],
    );
    let ran = Ran::of(command.env("WHO", "wörld")).good();
    assert_eq!(ran.out, "hello wörld, wörldy\n");
    let mut command = helper(&home, &["env", "subst"]);
    let done = output(command.env("WHO", "w"), b"\xff $WHO\r\n$$1");
    assert_eq!(done.stdout, b"\xff w\r\n$1");
    fed(&home, &["env", "subst"], "a ${b").failed(1, &["`${b` has no end", "$$"]);
}
