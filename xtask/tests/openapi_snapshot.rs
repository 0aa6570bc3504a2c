//! `docs/openapi.json` is what the code says. `cargo xtask openapi` writes it.

use std::path::Path;

#[test]
fn the_snapshot_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document = outrider_server::api::openapi();
    let mut said = document.to_pretty_json().expect("the document is JSON");
    said.push('\n');
    if std::env::var_os("OUTRIDER_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, said).expect("docs/openapi.json can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == said,
        "the API is not what docs/openapi.json says, {}.\n\
         Run `cargo xtask openapi`, look at `git diff docs/openapi.json`, and commit it.",
        first_difference(&kept, &said)
    );
}

fn first_difference(kept: &str, said: &str) -> String {
    let mut lines = kept.lines().zip(said.lines()).enumerate();
    match lines.find(|(_, (kept, said))| kept != said) {
        Some((at, (kept, said))) => {
            format!(
                "first on line {}:\n  - {}\n  + {}",
                at + 1,
                kept.trim(),
                said.trim()
            )
        }
        None => format!(
            "which has {} lines instead of {}",
            kept.lines().count(),
            said.lines().count()
        ),
    }
}
