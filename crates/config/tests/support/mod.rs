//! What the tests of this crate share.

use outrider_config::Options;

/// Options as on a laptop: nothing but a class.
pub fn options() -> Options {
    Options::new("local/default".parse().unwrap())
}
