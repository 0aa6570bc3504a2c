//! Reports of whole directories.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use outrider_test_data::stored::{self, Limits};
use outrider_test_data::{CollectError, Collected, Collector, TestResult};

fn collect(path: &Path, base: &Path) -> (Collected, Vec<TestResult>) {
    let mut collector = Collector::new(Vec::new(), base).unwrap();
    collector.collect(path).unwrap();
    let (collected, bytes) = collector.finish().unwrap();
    let results = stored::read(&bytes[..], Limits::default()).unwrap();
    let results: Vec<_> = results.map(Result::unwrap).collect();
    assert_eq!(collected.summary.tests, results.len() as u64);
    (collected, results)
}

fn report(name: &str, file: &str) -> String {
    format!("<testsuite><testcase name='{name}' file='{file}' time='1'/></testsuite>")
}

fn pipe(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

#[test]
fn all_reports_below_a_directory_are_read_and_the_rest_is_noted() {
    let place = tempfile::tempdir().unwrap();
    let base = place.path().join("job");
    let reports = base.join("reports");
    let write = |path: &str, text: &str| {
        let path = reports.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let inside = base.join("spec/a.rb");
    write("a.xml", &report("a", inside.to_str().unwrap()));
    write("b/c/d/e/f.XML", &report("f", "./f.rb"));
    write(
        "b/cut.xml",
        "<testsuite>\n<testcase name='cut' file='/elsewhere/cut.rb'/>\n<test",
    );
    write("b/notes.txt", &report("no", "no"));
    write("b/pom.xml", "<project/>");
    write("b/binary.xml", "\u{0}\u{1}\u{2}\u{3}");
    fs::write(place.path().join("outside.xml"), report("outside", "o")).unwrap();
    symlink(place.path().join("outside.xml"), reports.join("link.xml")).unwrap();
    symlink(place.path(), reports.join("up")).unwrap();
    pipe(&reports.join("pipe.xml"));

    let (collected, results) = collect(&reports, &base);
    let files: Vec<_> = results
        .iter()
        .map(|it| (&*it.name, it.file.as_deref()))
        .collect();
    assert_eq!(
        files,
        [
            ("a", Some("spec/a.rb")),
            ("f", Some("./f.rb")),
            ("cut", Some("/elsewhere/cut.rb")),
        ]
    );
    assert_eq!(collected.reports, 3);
    let notes: Vec<_> = collected.notes.iter().map(ToString::to_string).collect();
    let noted = |part: &str| notes.iter().any(|note| note.contains(part));
    assert!(
        noted("cut.xml cannot be read from line 3 on, after test \"cut\""),
        "{notes:?}"
    );
    assert!(
        noted("pom.xml is no JUnit report: its first element is <project>"),
        "{notes:?}"
    );
    assert!(
        noted("binary.xml is no JUnit report: passed over"),
        "{notes:?}"
    );
    assert!(
        noted("link.xml is no regular file") && noted("pipe.xml is no"),
        "{notes:?}"
    );
    assert_eq!(notes.len(), 5, "{notes:?}");
}

#[test]
fn a_file_is_read_whatever_it_is_called_and_one_that_is_not_there_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("results");
    fs::write(&path, report("a", "a")).unwrap();
    assert_eq!(collect(&path, place.path()).0.summary.passed, 1);
    let mut collector = Collector::new(Vec::new(), place.path()).unwrap();
    let error = collector.collect(&place.path().join("no")).unwrap_err();
    assert!(matches!(error, CollectError::Missing { .. }), "{error}");
    assert_eq!(collector.finish().unwrap().0.summary.tests, 0);
}

#[test]
fn what_is_no_regular_file_is_noted_and_blocks_nobody() {
    let place = tempfile::tempdir().unwrap();
    let path = |name| place.path().join(name);
    pipe(&path("pipe.xml"));
    symlink(path("pipe.xml"), path("link.xml")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket.xml")).unwrap();
    let named = ["pipe.xml", "link.xml", "socket.xml"].map(path);
    for path in named
        .iter()
        .map(PathBuf::as_path)
        .chain([Path::new("/dev/zero")])
    {
        let (collected, results) = collect(path, place.path());
        assert!(results.is_empty());
        let [note] = &collected.notes[..] else {
            panic!("{:?}", collected.notes);
        };
        assert!(note.text.contains("is no regular file"), "{note}");
    }
}

#[test]
fn a_link_that_is_named_is_followed() {
    let place = tempfile::tempdir().unwrap();
    let (path, link) = (place.path().join("a.xml"), place.path().join("link"));
    fs::write(&path, report("a", "a")).unwrap();
    symlink(&path, &link).unwrap();
    assert_eq!(collect(&link, place.path()).0.summary.passed, 1);
}

#[test]
fn declared_encodings_are_read_and_unknown_ones_noted() {
    let place = tempfile::tempdir().unwrap();
    let latin = b"<?xml version='1.0' encoding='iso-8859-15'?><testsuite><testcase name='\xa4'/></testsuite>";
    fs::write(place.path().join("a.xml"), latin).unwrap();
    let unknown =
        b"<?xml version='1.0' encoding='x-1'?><testsuite><testcase name='\xff'/></testsuite>";
    fs::write(place.path().join("b.xml"), unknown).unwrap();
    let (collected, results) = collect(place.path(), place.path());
    assert_eq!((&*results[0].name, &*results[1].name), ("€", "�"));
    assert_eq!(collected.notes.len(), 1);
    assert!(collected.notes[0].text.contains("\"x-1\": read as UTF-8"));
}

#[test]
fn there_are_not_more_notes_than_people_read() {
    let place = tempfile::tempdir().unwrap();
    for number in 0..70 {
        fs::write(place.path().join(format!("{number}.xml")), "").unwrap();
    }
    let (collected, _) = collect(place.path(), place.path());
    assert_eq!((collected.notes.len(), collected.more_notes), (50, 20));
}
