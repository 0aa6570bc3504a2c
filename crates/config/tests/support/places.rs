//! Whether diagnostics point at something.

use outrider_config::{Diagnostics, SourceFile};

/// What is said about a config points into it, or into one of its orbs, and can be shown.
pub fn check_places(source: &SourceFile, diagnostics: &Diagnostics) {
    for one in diagnostics {
        let labels = one.labels.iter().map(|label| &label.location);
        for place in labels.chain([&one.location]) {
            let text = match diagnostics.file(place) {
                Some(orb) => &orb.text,
                None => &source.text,
            };
            let piece = text.get(place.start..place.end);
            assert!(
                piece.is_some_and(|it| !it.contains('\n')),
                "{one:?}\n{text}"
            );
            let before = &text[..place.start];
            assert_eq!(
                place.line,
                before.matches('\n').count() + 1,
                "{one:?}\n{text}"
            );
        }
    }
    let _ = diagnostics.render(source, true);
}
