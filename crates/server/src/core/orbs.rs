//! Orbs that come with a config. A server asks nobody for others: what a config compiles to is
//! decided by its sender.

use std::collections::BTreeMap;

use outrider_api::ErrorCode;
use outrider_api::pipelines::OrbSource;
use outrider_config::{Orb, OrbReference, Orbs};

use crate::ApiError;

/// As many as a resolution gives at most.
const MOST: usize = 200;

/// The largest that a resolution gives.
const LARGEST: usize = 1024 * 1024;

/// The orbs of a request. All of them together are bounded by the size of its body.
pub fn given(sent: BTreeMap<String, OrbSource>) -> Result<Orbs, ApiError> {
    if sent.len() > MOST {
        let message = format!("{} orbs came with the config", sent.len());
        let advice = format!("Send {MOST} at most: those that the config uses.");
        return Err(ApiError::new(ErrorCode::TooLarge, message).advise(advice));
    }
    sent.into_iter()
        .map(|(name, orb)| one(&name, orb))
        .collect()
}

fn one(name: &str, orb: OrbSource) -> Result<(OrbReference, Orb), ApiError> {
    let reference = name.parse().map_err(|error| {
        let message = format!("`{}` names no orb: {error}", name.escape_debug());
        ApiError::new(ErrorCode::BadRequest, message)
            .advise("Name orbs as the config does, for example circleci/node@5.1.")
    })?;
    if orb.text.len() > LARGEST {
        let message = format!("the orb {name} has {} bytes", orb.text.len());
        let advice = format!("An orb has {LARGEST} bytes at most.");
        return Err(ApiError::new(ErrorCode::TooLarge, message).advise(advice));
    }
    let OrbSource { name, text } = orb;
    Ok((reference, Orb { name, text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, text: &str) -> ErrorCode {
        let orb = OrbSource {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let sent = BTreeMap::from([(name.to_owned(), orb)]);
        given(sent).unwrap_err().code
    }

    #[test]
    fn what_is_sent_is_named_and_bounded() {
        assert_eq!(refused("../x@1", ""), ErrorCode::BadRequest);
        assert_eq!(
            refused("a/b@1", &"x".repeat(LARGEST + 1)),
            ErrorCode::TooLarge
        );
        let orb = OrbSource {
            name: String::new(),
            text: String::new(),
        };
        let many = (0..=MOST).map(|number| (format!("a/b{number}@1"), orb.clone()));
        assert_eq!(given(many.collect()).unwrap_err().code, ErrorCode::TooLarge);
    }
}
