//! The tables of keys in `docs/config.md` are what the code says; the text around them is written by
//! hand. `cargo xtask docs` writes the tables.

use std::path::Path;

use outrider_config::reference::{Table, tables};

const END: &str = "<!-- end of keys -->\n";

fn start(table: &Table) -> String {
    format!("<!-- keys of {} -->\n", table.slug)
}

/// The document with each table in its place.
fn with_tables(document: &str) -> String {
    let mut text = document.to_owned();
    for table in tables() {
        let start = start(&table);
        let (before, rest) = text.split_once(&start).unwrap_or_else(|| {
            panic!("docs/config.md has no place for a table: add\n{start}{END}")
        });
        let (_, after) = rest
            .split_once(END)
            .unwrap_or_else(|| panic!("after `{}` there is no `{}`", start.trim(), END.trim()));
        text = format!("{before}{start}{}{END}{after}", table.markdown);
    }
    text
}

#[test]
fn the_tables_are_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let kept = std::fs::read_to_string(&path).expect("docs/config.md can be read");
    let said = with_tables(&kept);
    if std::env::var_os("OUTRIDER_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, said).expect("docs/config.md can be written");
        return;
    }
    let mut lines = kept.lines().zip(said.lines()).enumerate();
    let different = lines.find(|(_, (kept, said))| kept != said);
    assert!(
        kept == said,
        "the tables in docs/config.md are not what the code says, first {different:?}.\n\
         Run `cargo xtask docs`, look at `git diff docs/config.md`, and commit it."
    );
}

#[test]
fn every_place_for_a_table_is_used() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let document = std::fs::read_to_string(path).expect("docs/config.md can be read");
    let places = document.matches("<!-- keys of ").count();
    assert_eq!(
        places,
        tables().len(),
        "a place is there twice, or for no table"
    );
}
